// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// Scheme, user, host and port of an absolute URL (RFC 3986, section 3).
package struct URLAuthority: Sendable, Hashable {
    /// In lower case.
    package let scheme: String
    /// Before the `@`, percent-encoded.
    package let userInfo: String?
    /// Without the brackets of an IPv6 address.
    package let host: String
    package let port: UInt16?

    /// - Returns: nil for anything but a URL with a host.
    package init?(_ url: String) {
        guard let separator = url.firstRange(of: "://") else { return nil }
        let scheme = url[..<separator.lowerBound].lowercased()
        guard let first = scheme.first, first.isASCII, first.isLetter,
            scheme.allSatisfy({ $0.isASCII && ($0.isLetter || $0.isNumber || "+-.".contains($0)) })
        else { return nil }
        let authority = url[separator.upperBound...].prefix { !"/?#".contains($0) }
        let at = authority.lastIndex(of: "@")
        let server = at.map { authority[authority.index(after: $0)...] } ?? authority
        guard authority.utf8.allSatisfy({ (0x21...0x7E).contains($0) }), let (host, port) = Self.split(server) else {
            return nil
        }
        self.scheme = scheme
        userInfo = at.map { String(authority[..<$0]) }
        self.host = host
        self.port = port
    }

    /// `HOST`, `HOST:PORT`, `[IPv6]` or `[IPv6]:PORT`.
    private static func split(_ server: Substring) -> (host: String, port: UInt16?)? {
        var host = server
        var port: Substring = ""
        let isBracketed = server.first == "["
        if isBracketed {
            guard let end = server.firstIndex(of: "]") else { return nil }
            host = server[server.index(after: server.startIndex)..<end]
            port = server[server.index(after: end)...]
            guard port.isEmpty || port.first == ":", host.contains(":"), IPAddress(host.prefix { $0 != "%" }) != nil
            else { return nil }
        } else if let colon = server.firstIndex(of: ":") {
            (host, port) = (server[..<colon], server[colon...])
        }
        // "HOST:" means the default port.
        port = port.dropFirst()
        let number = port.allSatisfy { ("0"..."9").contains($0) } ? UInt16(port) : nil
        let isHost = host.allSatisfy {
            $0.isLetter || $0.isNumber || "-._~".contains($0) || isBracketed && ":%".contains($0)
        }
        guard isHost, !host.isEmpty, port.isEmpty || number.map({ $0 > 0 }) == true else { return nil }
        return (String(host), number)
    }

    /// Host and port as they are in the URL, without the user: Go's `url.URL.Host`.
    package static func hostAndPort(_ url: String) -> String {
        let rest = withoutUserInfo(url)
        let start = rest.firstRange(of: "://")?.upperBound ?? rest.startIndex
        return String(rest[start...].prefix { !"/?#".contains($0) })
    }

    /// The URL without the user, who may have a password.
    package static func withoutUserInfo(_ url: String) -> String {
        let start = url.firstRange(of: "://")?.upperBound ?? url.startIndex
        let end = url[start...].firstIndex { "/?#".contains($0) } ?? url.endIndex
        guard let at = url[start..<end].lastIndex(of: "@") else { return url }
        return String(url[..<start] + url[url.index(after: at)...])
    }
}
