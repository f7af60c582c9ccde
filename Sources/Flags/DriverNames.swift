// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// Names of CSI drivers in a flag's syntax: `name,name`.
///
/// Source: CSI specification, GetPluginInfo: at most 63 letters, digits, `-` and `.`, beginning and ending with a letter
/// or a digit.
package struct DriverNames: FlagValue, Equatable {
    static let valueName = "name,..."

    package private(set) var values: Set<String> = []

    init() {}

    package init(flag text: String) throws(UsageError) {
        guard !text.isEmpty else { return }
        for name in text.split(separator: ",", omittingEmptySubsequences: false) {
            guard Self.isName(name) else {
                throw UsageError(
                    message: "\"\(name)\" is not the name of a CSI driver: write names such as ebs.csi.aws.com,..."
                )
            }
            values.insert(String(name))
        }
    }

    package var flagText: String { values.sorted().joined(separator: ",") }

    private static func isName(_ text: Substring) -> Bool {
        guard let first = text.utf8.first, let last = text.utf8.last, text.utf8.count <= 63 else { return false }
        return isAlphanumeric(first) && isAlphanumeric(last)
            && text.utf8.allSatisfy { isAlphanumeric($0) || "-.".utf8.contains($0) }
    }

    private static func isAlphanumeric(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"):
            true
        default: false
        }
    }
}
