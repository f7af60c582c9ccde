// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import CYAML

/// Builds a ``YAMLNode`` from libyaml's events.
///
/// Bounded against hostile text: aliases are rejected (they let a small text expand), and nesting is limited. The
/// caller, who reads the file, bounds its size.
@safe
package struct YAMLParser: ~Copyable {
    // Safe, because a parser lives only within `parse`, and so does the text that it points into.

    /// A kubeconfig has five levels; the settings of an exec plugin or an extension may have more.
    static let maximumDepth = 32

    /// Owned: allocated, initialised and, in `deinit`, deleted and freed here. libyaml keeps pointers into it.
    private let parser: UnsafeMutablePointer<yaml_parser_t>

    /// Parses the first document; null for an empty text. Further documents are ignored, as by client-go.
    package static func parse(_ text: [UInt8]) throws(YAMLError) -> YAMLNode {
        // The buffer outlives the parser, which reads it without a copy.
        try unsafe text.withUnsafeBufferPointer { buffer throws(YAMLError) -> YAMLNode in
            var parser = try unsafe YAMLParser(reading: buffer)
            return try parser.document()
        }
    }

    private init(reading buffer: UnsafeBufferPointer<UInt8>) throws(YAMLError) {
        unsafe parser = .allocate(capacity: 1)
        // "Initialize a parser": writes the whole structure, or returns 0 when out of memory.
        guard unsafe yaml_parser_initialize(parser) == 1 else {
            unsafe parser.deallocate()
            throw YAMLError(line: 1, message: "out of memory")
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
            throw YAMLError(line: event.line, message: "more than \(Self.maximumDepth) levels of nesting")
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
            throw YAMLError(line: event.line, message: "an alias (*name) is not allowed: write the value instead")
        case .sequenceEnd, .mappingEnd, .end, .other:
            // Not reached: libyaml checks that events nest.
            throw YAMLError(line: event.line, message: "unexpected end of the document")
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
                throw YAMLError(line: event.line, message: "a key must be a string")
            }
            guard keys.insert(key).inserted else {
                throw YAMLError(line: event.line, message: "duplicate key \"\(key)\"")
            }
            members.append(YAMLNode.Member(key: key, value: try node(next(), depth: depth + 1)))
        }
    }
}

extension YAMLParser {
    /// A libyaml event as a Swift value.
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
            // `type` says which member of the union is set. `value` has `length` bytes of UTF-8, validated by libyaml.
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

    /// libyaml's description of the problem: a constant text, without content of the document.
    private func problem() -> YAMLError {
        let text = unsafe parser.pointee.problem.map { unsafe String(cString: $0) } ?? "not YAML"
        // The reader checks the encoding and sets no problem_mark.
        let mark = unsafe parser.pointee.error == YAML_READER_ERROR ? parser.pointee.mark : parser.pointee.problem_mark
        return YAMLError(line: Int(mark.line) + 1, message: text)
    }
}
