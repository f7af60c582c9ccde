// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// A proxy as Go's clients accept it: `http`, `https` or `socks5`, which resolves the server's name itself.
///
/// Source: `parseProxy` in golang.org/x/net/http/httpproxy/proxy.go; `parseProxyURL` in
/// k8s.io/client-go/tools/clientcmd/helpers.go; `portMap` in Go's net/http/transport.go.
package struct ProxyURL: Sendable, Hashable, CustomStringConvertible {
    /// Why a text is not a proxy's URL. The message has neither the user nor the password.
    package struct Invalid: Error, Sendable, Hashable {
        package var message: String
    }

    private enum Scheme: String {
        case http
        case https
        case socks5
        case socks5h

        var defaultPort: UInt16 {
            switch self {
            case .http: 80
            case .https: 443
            case .socks5, .socks5h: 1080
            }
        }
    }

    private let scheme: Scheme
    private let server: String
    /// nil when the URL has no user; then there is no password either.
    let user: String?
    let password: String?

    /// - Parameter text: a URL; without a scheme it is `http`.
    package init(_ text: String) throws(Invalid) {
        guard let authority = URLAuthority(text) ?? (text.contains("://") ? nil : URLAuthority("http://\(text)")) else {
            throw Invalid(message: "a proxy's URL is expected, as in http://proxy.example:3128")
        }
        guard let scheme = Scheme(rawValue: authority.scheme) else {
            throw Invalid(message: "the scheme \(authority.scheme) is not supported: use http, https or socks5")
        }
        self.scheme = scheme
        let host = authority.host.contains(":") ? "[\(authority.host)]" : authority.host
        server = "\(host):\(authority.port ?? scheme.defaultPort)"
        guard let userInfo = authority.userInfo else {
            (user, password) = (nil, nil)
            return
        }
        let parts = userInfo.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        guard let user = Self.decoded(parts[0]), let password = Self.decoded(parts.dropFirst().first ?? "") else {
            throw Invalid(message: "the user or the password has an invalid percent-encoding")
        }
        (self.user, self.password) = (user, password)
    }

    /// Without the user.
    package var description: String { "\(scheme.rawValue)://\(server)" }

    /// For CURLOPT_PROXY(3), where `socks5` would resolve the server's name locally.
    var curlURL: String { scheme == .socks5 ? "socks5h://\(server)" : description }

    /// Without percent-encoding; nil when that is invalid, not UTF-8, or encodes a control character.
    private static func decoded(_ text: Substring) -> String? {
        var bytes: [UInt8] = []
        var rest = text.utf8[...]
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "%") else {
                bytes.append(byte)
                continue
            }
            let digits = rest.prefix(2)
            guard digits.count == 2, let value = UInt8(String(decoding: digits, as: UTF8.self), radix: 16),
                digits.first != UInt8(ascii: "+")
            else { return nil }
            bytes.append(value)
            rest = rest.dropFirst(2)
        }
        return bytes.allSatisfy { $0 >= 0x20 && $0 != 0x7F } ? String(validating: bytes, as: UTF8.self) : nil
    }
}
