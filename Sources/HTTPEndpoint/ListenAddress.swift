// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// An address to listen on, in the syntax of Go's `net.Listen("tcp", ...)`: `:8080`, `127.0.0.1:9808`, `[::1]:8080`.
package struct ListenAddress: Sendable, Hashable, CustomStringConvertible {
    /// A host name, or an IP address without brackets; empty for all IPv4 and IPv6 addresses.
    package var host: String
    /// 0: the system chooses a free port.
    package var port: UInt16

    package init(host: String, port: UInt16) {
        self.host = host
        self.port = port
    }

    /// Parses an address. Unlike Go's, it accepts no service names as ports.
    ///
    /// - Throws: ``EndpointError`` with the code `invalidAddress`.
    package init(parsing text: String) throws(EndpointError) {
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

    /// The address in the syntax of ``init(parsing:)``.
    package var description: String {
        host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
    }

    private static func invalid(_ text: String, _ reason: String) -> EndpointError {
        EndpointError(
            code: .invalidAddress,
            message: "invalid listen address \"\(text)\": \(reason): write :8080, 127.0.0.1:8080 or [::1]:8080"
        )
    }
}
