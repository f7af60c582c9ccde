// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// Labels of a Kubernetes object in a flag's syntax: `key:value,key:value`.
///
/// Validated here, where the error can name the flag: the API server would refuse every write of the Lease.
/// https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#syntax-and-character-set
package struct Labels: FlagValue {
    static let valueName = "key:value,..."

    package private(set) var values: [String: String] = [:]

    init() {}

    package init(flag text: String) throws(UsageError) {
        guard !text.isEmpty else { return }
        for pair in text.split(separator: ",", omittingEmptySubsequences: false) {
            let parts = pair.split(separator: ":", omittingEmptySubsequences: false)
            guard parts.count == 2, Self.isKey(parts[0]), parts[1].isEmpty || Self.isName(parts[1]) else {
                throw UsageError(message: "invalid label \"\(pair)\": write key:value,key:value")
            }
            guard values.updateValue(String(parts[1]), forKey: String(parts[0])) == nil else {
                throw UsageError(message: "duplicate label \(parts[0])")
            }
        }
    }

    package var flagText: String {
        values.sorted { $0.key < $1.key }.map { "\($0.key):\($0.value)" }.joined(separator: ",")
    }

    /// A name, or a DNS subdomain, a slash and a name.
    private static func isKey(_ key: Substring) -> Bool {
        let parts = key.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2 else { return parts.count == 1 && isName(key) }
        let domain = parts[0].split(separator: ".", omittingEmptySubsequences: false)
        return isName(parts[1]) && parts[0].utf8.count <= 253
            && domain.allSatisfy { isName($0) && $0.utf8.allSatisfy { isLowerAlphanumeric($0) || $0 == hyphen } }
    }

    /// At most 63 letters, digits, `-`, `_` and `.`, beginning and ending with a letter or a digit.
    private static func isName(_ text: Substring) -> Bool {
        guard let first = text.utf8.first, let last = text.utf8.last, text.utf8.count <= 63 else { return false }
        return isAlphanumeric(first) && isAlphanumeric(last)
            && text.utf8.allSatisfy { isAlphanumeric($0) || "-_.".utf8.contains($0) }
    }

    private static let hyphen = UInt8(ascii: "-")

    private static func isLowerAlphanumeric(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte) || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
    }

    private static func isAlphanumeric(_ byte: UInt8) -> Bool {
        isLowerAlphanumeric(byte) || (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte)
    }
}
