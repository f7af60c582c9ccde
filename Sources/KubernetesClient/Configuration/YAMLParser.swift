// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import CYAML

/// Builds a ``YAMLNode`` from libyaml's events.
///
/// Bounded against hostile text: aliases are refused (they make small texts large), and nesting has a limit. The size
/// is for the caller to bound, who reads the file.
@safe
package struct YAMLParser: ~Copyable {
    // Safe because a parser lives only within `parse`, where the text that it points into lives too.

    /// A kubeconfig nests five levels; an exec plugin's or an extension's settings may go deeper.
    static let maximumDepth = 32

    /// Owned: allocated, initialised and, in `deinit`, deleted and freed here. libyaml keeps pointers into it.
    private let parser: UnsafeMutablePointer<yaml_parser_t>

    /// The first document of the text; null for an empty text. Further documents are ignored, as client-go does.
    package static func parse(_ text: [UInt8]) throws(YAMLError) -> YAMLNode {
        // The buffer outlives the parser, which reads from it without a copy.
        try unsafe text.withUnsafeBufferPointer { buffer throws(YAMLError) -> YAMLNode in
            var parser = try unsafe YAMLParser(reading: buffer)
            return try parser.document()
        }
    }

    private init(reading buffer: UnsafeBufferPointer<UInt8>) throws(YAMLError) {
        unsafe parser = .allocate(capacity: 1)
        // "Initialize a parser": writes the whole structure; 0 says that there was no memory.
        guard unsafe yaml_parser_initialize(parser) == 1 else {
            unsafe parser.deallocate()
            throw YAMLError(line: 1, message: "not enough memory")
        }
        unsafe yaml_parser_set_encoding(parser, YAML_UTF8_ENCODING)
        unsafe yaml_parser_set_input_string(parser, buffer.baseAddress, buffer.count)
    }

    deinit {
        unsafe yaml_parser_delete(parser)
        unsafe parser.deallocate()
    }

    private mutating func document() throws(YAMLError) -> YAMLNode {
        while true {
            let event = try next()
            switch event.kind {
            case .other: continue
            case .end: return YAMLNode(content: .null, line: event.line)
            default: return try node(event, depth: 0)
            }
        }
    }

    private mutating func node(_ event: Event, depth: Int) throws(YAMLError) -> YAMLNode {
        guard depth < Self.maximumDepth else {
            throw YAMLError(line: event.line, message: "more than \(Self.maximumDepth) levels")
        }
        switch event.kind {
        case .scalar(let text, let isPlain):
            let isNull = isPlain && ["", "~", "null", "Null", "NULL"].contains(text)
            return YAMLNode(content: isNull ? .null : .scalar(text, isPlain: isPlain), line: event.line)
        case .sequenceStart:
            return YAMLNode(content: .sequence(try items(depth: depth)), line: event.line)
        case .mappingStart:
            return YAMLNode(content: .mapping(try members(depth: depth)), line: event.line)
        case .alias:
            throw YAMLError(line: event.line, message: "an alias (*name) is not allowed here: write the value out")
        case .sequenceEnd, .mappingEnd, .end, .other:
            // libyaml checks that events nest.
            throw YAMLError(line: event.line, message: "the document ends too early")
        }
    }

    private mutating func items(depth: Int) throws(YAMLError) -> [YAMLNode] {
        var items: [YAMLNode] = []
        while true {
            let event = try next()
            if event.kind == .sequenceEnd { return items }
            items.append(try node(event, depth: depth + 1))
        }
    }

    private mutating func members(depth: Int) throws(YAMLError) -> [YAMLNode.Member] {
        var members: [YAMLNode.Member] = []
        var keys: Set<String> = []
        while true {
            let event = try next()
            if event.kind == .mappingEnd { return members }
            guard case .scalar(let key, _) = event.kind else {
                throw YAMLError(line: event.line, message: "a key must be text")
            }
            guard keys.insert(key).inserted else {
                throw YAMLError(line: event.line, message: "the key \"\(key)\" is there twice")
            }
            members.append(YAMLNode.Member(key: key, value: try node(next(), depth: depth + 1)))
        }
    }
}

extension YAMLParser {
    /// An event of libyaml as a value.
    private struct Event {
        enum Kind: Equatable {
            case scalar(String, isPlain: Bool)
            case alias
            case sequenceStart
            case sequenceEnd
            case mappingStart
            case mappingEnd
            /// The document or the stream ends.
            case end
            /// The document or the stream begins.
            case other
        }

        var kind: Kind
        var line: Int
    }

    private mutating func next() throws(YAMLError) -> Event {
        var event = unsafe yaml_event_t()
        guard unsafe yaml_parser_parse(parser, &event) == 1 else { throw problem() }
        // "An application is responsible for freeing any buffers associated with the produced event".
        defer { unsafe yaml_event_delete(&event) }
        return unsafe Event(kind: Self.kind(event), line: Int(event.start_mark.line) + 1)
    }

    private static func kind(_ event: yaml_event_t) -> Event.Kind {
        switch unsafe event.type {
        case YAML_SCALAR_EVENT:
            // The union's member is the one that `type` names; `value` has `length` bytes, which libyaml has checked
            // to be UTF-8.
            let scalar = unsafe event.data.scalar
            let bytes = unsafe UnsafeBufferPointer(start: scalar.value, count: scalar.length)
            return unsafe .scalar(
                String(decoding: bytes, as: UTF8.self),
                isPlain: scalar.style == YAML_PLAIN_SCALAR_STYLE
            )
        case YAML_ALIAS_EVENT: return .alias
        case YAML_SEQUENCE_START_EVENT: return .sequenceStart
        case YAML_SEQUENCE_END_EVENT: return .sequenceEnd
        case YAML_MAPPING_START_EVENT: return .mappingStart
        case YAML_MAPPING_END_EVENT: return .mappingEnd
        case YAML_DOCUMENT_END_EVENT, YAML_STREAM_END_EVENT: return .end
        default: return .other
        }
    }

    /// What libyaml says is wrong: fixed texts, without the document's.
    private func problem() -> YAMLError {
        let text = unsafe parser.pointee.problem.map { unsafe String(cString: $0) } ?? "not YAML"
        // The reader, which looks at the encoding, has no line yet.
        let mark = unsafe parser.pointee.error == YAML_READER_ERROR ? parser.pointee.mark : parser.pointee.problem_mark
        return YAMLError(line: Int(mark.line) + 1, message: text)
    }
}
