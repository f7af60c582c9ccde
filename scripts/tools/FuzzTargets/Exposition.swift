// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// A parser of Prometheus' text format. Stricter than Prometheus: it accepts only what the format's description allows,
/// and of that only what the endpoint may write.
///
/// Source: https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format
struct Exposition {
    struct Label: Hashable {
        var name: String
        /// Bytes, because canonically equivalent texts are different values.
        var value: [UInt8]
    }

    struct Sample: Hashable {
        var name: String
        var labels: [Label]
        /// See ``Exposition/bits(_:)``.
        var value: UInt64
    }

    struct Family: Equatable {
        var name: String
        var help: [UInt8]
        var type: String
        var samples: Set<Sample> = []
        /// The names of the labels, where they are known in advance.
        var labelNames: [String] = []

        init(name: String, help: [UInt8], type: String) {
            self.name = name
            self.help = help
            self.type = type
        }

        static func == (left: Self, right: Self) -> Bool {
            left.name == right.name && left.help == right.help && left.type == right.type
                && left.samples == right.samples
        }
    }

    struct SyntaxError: Error {
        var message: String
    }

    private(set) var families: [Family] = []

    init(_ text: String) throws(SyntaxError) {
        let lines = Array(text.utf8).split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
        guard lines.last?.isEmpty == true else { throw SyntaxError(message: "the last line is incomplete") }
        for line in lines.dropLast() {
            var rest = LineReader(line)
            if rest.skip("# HELP ") {
                let name = try rest.name()
                try rest.expect(" ")
                families.append(Family(name: name, help: try rest.escaped(until: nil), type: ""))
            } else if rest.skip("# TYPE ") {
                let name = try rest.name()
                guard name == families.last?.name, families.last?.type == "" else {
                    throw SyntaxError(message: "TYPE without HELP: \(name)")
                }
                try rest.expect(" ")
                families[families.count - 1].type = try rest.name()
                try rest.end()
            } else {
                try add(try rest.sample())
            }
        }
        guard Set(families.map(\.name)).count == families.count else { throw SyntaxError(message: "duplicate metric") }
    }

    private mutating func add(_ sample: Sample) throws(SyntaxError) {
        guard let family = families.last else { throw SyntaxError(message: "sample without a metric") }
        let suffixes = family.type == "histogram" ? ["_bucket", "_sum", "_count"] : [""]
        guard suffixes.contains(where: { sample.name == family.name + $0 }) else {
            throw SyntaxError(message: "\(sample.name) is listed under \(family.name)")
        }
        let isNew = !family.samples.contains { $0.name == sample.name && $0.labels == sample.labels }
        guard isNew else { throw SyntaxError(message: "duplicate series: \(sample)") }
        families[families.count - 1].samples.insert(sample)
    }

    /// The identity of a number: 0 and -0 differ, all NaNs are equal.
    static func bits(_ value: Double) -> UInt64 {
        value.isNaN ? Double.nan.bitPattern : value.bitPattern
    }

    /// The text of a bucket's bound.
    static func bound(_ value: Double) -> String {
        switch value {
        case .infinity: "+Inf"
        case 1: "1"
        case 1e21: "1e+21"
        default: "\(value)"
        }
    }
}

/// Reads a line from the front.
private struct LineReader {
    private var rest: ArraySlice<UInt8>

    init(_ line: ArraySlice<UInt8>) {
        rest = line
    }

    mutating func skip(_ text: String) -> Bool {
        guard rest.starts(with: text.utf8) else { return false }
        rest = rest.dropFirst(text.utf8.count)
        return true
    }

    mutating func expect(_ text: String) throws(Exposition.SyntaxError) {
        guard skip(text) else { throw failure("expected \"\(text)\"") }
    }

    func end() throws(Exposition.SyntaxError) {
        guard rest.isEmpty else { throw failure("expected the end") }
    }

    mutating func name() throws(Exposition.SyntaxError) -> String {
        let name = rest.prefix { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: ":"):
                true
            default: false
            }
        }
        guard let first = name.first, first > UInt8(ascii: "9") else { throw failure("expected a name") }
        rest = rest.dropFirst(name.count)
        return String(decoding: name, as: UTF8.self)
    }

    /// - Parameter terminator: the byte that ends the text and is escaped in it; nil when the line ends it.
    mutating func escaped(until terminator: UInt8?) throws(Exposition.SyntaxError) -> [UInt8] {
        var text: [UInt8] = []
        while let byte = rest.popFirst() {
            if byte == terminator { return text }
            guard byte == UInt8(ascii: "\\") else {
                text.append(byte)
                continue
            }
            switch rest.popFirst() {
            case UInt8(ascii: "\\"): text.append(UInt8(ascii: "\\"))
            case UInt8(ascii: "n"): text.append(UInt8(ascii: "\n"))
            case let escaped? where escaped == terminator: text.append(escaped)
            default: throw failure("unknown escape")
            }
        }
        guard terminator == nil else { throw failure("unterminated text") }
        return text
    }

    mutating func sample() throws(Exposition.SyntaxError) -> Exposition.Sample {
        let name = try name()
        var labels: [Exposition.Label] = []
        if skip("{") {
            repeat {
                let name = try self.name()
                try expect("=\"")
                labels.append(Exposition.Label(name: name, value: try escaped(until: UInt8(ascii: "\""))))
            } while skip(",")
            try expect("}")
        }
        guard Set(labels.map(\.name)).count == labels.count else { throw failure("duplicate label") }
        try expect(" ")
        return Exposition.Sample(name: name, labels: labels, value: try number())
    }

    private mutating func number() throws(Exposition.SyntaxError) -> UInt64 {
        let text = String(decoding: rest, as: UTF8.self)
        switch text {
        case "NaN": return Exposition.bits(.nan)
        case "+Inf": return Exposition.bits(.infinity)
        case "-Inf": return Exposition.bits(-.infinity)
        default:
            guard rest.allSatisfy({ "0123456789+-.e".utf8.contains($0) }), let value = Double(text) else {
                throw failure("expected a number")
            }
            return Exposition.bits(value)
        }
    }

    private func failure(_ message: String) -> Exposition.SyntaxError {
        Exposition.SyntaxError(message: "\(message), found \"\(String(decoding: rest, as: UTF8.self))\"")
    }
}
