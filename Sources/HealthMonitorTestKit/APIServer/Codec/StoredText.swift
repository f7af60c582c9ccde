// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// Texts that are not UTF-8. The real server stores the bytes that a client has sent: a string of Go is bytes, and
/// gogo's `Unmarshal` does not check for UTF-8. In a ``JSONValue`` each byte that is not UTF-8 is one of the last 256
/// scalars of Unicode, U+10FF00 to U+10FFFF, which are private use.
extension String {
    package init(storedBytes bytes: some Collection<UInt8>) {
        if let text = String(validating: bytes, as: UTF8.self) {
            self = text
            return
        }
        self = ""
        var rest = bytes.makeIterator()
        var undecoded = bytes[...]
        var parser = Unicode.UTF8.ForwardParser()
        while true {
            switch parser.parseScalar(from: &rest) {
            case .valid(let encoded):
                unicodeScalars.append(Unicode.UTF8.decode(encoded))
                undecoded = undecoded.dropFirst(encoded.count)
            case .error(let length):
                for byte in undecoded.prefix(length) {
                    Unicode.Scalar(0x10FF00 + UInt32(byte)).map { unicodeScalars.append($0) }
                }
                undecoded = undecoded.dropFirst(length)
            case .emptyInput: return
            }
        }
    }

    package var storedBytes: [UInt8] {
        // The encoding of these scalars begins with F4.
        guard utf8.contains(0xF4) else { return Array(utf8) }
        return unicodeScalars.flatMap { scalar in
            scalar.value < 0x10FF00 ? Array(String(scalar).utf8) : [UInt8(truncatingIfNeeded: scalar.value)]
        }
    }
}
