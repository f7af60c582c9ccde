// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// Where to listen, in the syntax of Go's `net.Listen("tcp", ...)`: `:8080`, `127.0.0.1:9808`, `[::1]:8080`.
package struct ListenAddress: Sendable, Hashable, CustomStringConvertible {
    /// A host name or an IP address without brackets; empty for every address of the host, IPv4 and IPv6.
    package var host: String
    /// 0 lets the system choose a free port.
    package var port: UInt16

    /// Names an address.
    package init(host: String, port: UInt16) {
        self.host = host
        self.port = port
    }

    /// Reads an address.
    ///
    /// - Throws: ``DiagnosticsError`` with the code `invalidAddress` when `text` is none. Port names are not known.
    package init(parsing text: String) throws(DiagnosticsError) {
        guard let colon = text.lastIndex(of: ":") else {
            throw Self.invalid(text, "it has no port")
        }
        let portText = text[text.index(after: colon)...]
        guard let port = UInt16(portText), portText.allSatisfy(\.isNumber) else {
            throw Self.invalid(text, "the port is not a number from 0 to 65535")
        }
        var host = text[..<colon]
        if host.hasPrefix("[") {
            guard host.hasSuffix("]") else { throw Self.invalid(text, "the ] is missing") }
            host = host.dropFirst().dropLast()
        } else if host.contains(":") {
            throw Self.invalid(text, "an IPv6 address needs brackets")
        }
        self.init(host: String(host), port: port)
    }

    /// The address in the syntax that it is read in.
    package var description: String {
        host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
    }

    private static func invalid(_ text: String, _ reason: String) -> DiagnosticsError {
        DiagnosticsError(
            code: .invalidAddress,
            message: "\"\(text)\" is not an address to listen on: \(reason); write :8080, 127.0.0.1:8080 or [::1]:8080"
        )
    }
}
