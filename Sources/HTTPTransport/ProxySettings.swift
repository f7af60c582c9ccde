// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// The proxies of the environment by Go's rules, which kubectl and client-go follow. libcurl's differ: it reads
/// ALL_PROXY, supports neither `*.suffix` nor ports nor IPv6 CIDR in NO_PROXY, and proxies loopback addresses.
///
/// - `HTTPS_PROXY` is for https servers and `HTTP_PROXY` for http servers. For these and for `NO_PROXY` the upper-case
///   variable is read before the lower-case one. An empty value counts as unset.
/// - `localhost` and loopback addresses are never proxied, nor are the entries of `NO_PROXY`, which commas separate:
///   `*`, a CIDR, or an IP address or host with an optional `:PORT`. A host includes its subdomains; `.HOST` and
///   `*.HOST` are the subdomains alone. Names are not resolved for this.
///
/// Unlike Go's rules, these ignore `REQUEST_METHOD`, which marks a CGI program, and compare names beyond ASCII as they
/// are.
///
/// Source: golang.org/x/net/http/httpproxy/proxy.go (0ca694d).
package struct ProxySettings: Sendable {
    /// The names of the variables that are read.
    package static let variables = ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy"]

    private struct Variable: Sendable {
        var name: String
        var value: String
    }

    private var proxies: [String: Variable] = [:]
    private let exceptions: [ProxyException]

    package init(environment: [String: String]) {
        func variable(_ names: String...) -> Variable? {
            names.lazy.compactMap { name in environment[name].map { Variable(name: name, value: $0) } }
                .first { !$0.value.isEmpty }
        }
        proxies["http"] = variable("HTTP_PROXY", "http_proxy")
        proxies["https"] = variable("HTTPS_PROXY", "https_proxy")
        exceptions = (variable("NO_PROXY", "no_proxy")?.value ?? "").split(separator: ",").compactMap {
            ProxyException($0)
        }
    }

    /// The proxy for a server; nil for a direct connection.
    ///
    /// - Throws: when the server is to be proxied and the variable's value is invalid. The message begins with the
    ///   variable's name. Go ignores such a value and connects directly.
    package func proxy(for server: String) throws(ProxyURL.Invalid) -> ProxyURL? {
        guard let authority = URLAuthority(server), let variable = proxies[authority.scheme], isProxied(authority)
        else {
            return nil
        }
        do throws(ProxyURL.Invalid) {
            return try ProxyURL(variable.value)
        } catch {
            throw ProxyURL.Invalid(message: "\(variable.name): \(error.message)")
        }
    }

    private func isProxied(_ server: URLAuthority) -> Bool {
        let host = server.host.lowercased()
        let address = IPAddress(host.prefix { $0 != "%" })
        let port = server.port ?? (server.scheme == "https" ? 443 : 80)
        return host != "localhost" && address?.isLoopback != true
            && !exceptions.contains { $0.matches(host: host, address: address, port: String(port)) }
    }
}

/// An entry of `NO_PROXY`.
private enum ProxyException: Sendable {
    case all
    case network(IPAddress.Network)
    case address(IPAddress, port: String?)
    /// With a leading dot.
    case domain(Substring, includesItself: Bool, port: String?)

    /// - Returns: nil for an entry that Go ignores: an empty one, or one without a host.
    init?(_ entry: Substring) {
        let entry = entry.trimmingWhitespace().lowercased()
        if entry == "*" {
            self = .all
        } else if let network = IPAddress.Network(entry) {
            self = .network(network)
        } else {
            let (host, port) = Self.split(entry)
            guard let first = host.first else { return nil }
            if let address = IPAddress(host) {
                self = .address(address, port: port)
            } else if host.hasPrefix("*.") {
                self = .domain(host.dropFirst(), includesItself: false, port: port)
            } else {
                self = .domain(first == "." ? host[...] : ".\(host)", includesItself: first != ".", port: port)
            }
        }
    }

    /// As Go's `net.SplitHostPort`. An entry that it refuses, such as an IPv6 address without brackets, is a host
    /// without a port.
    private static func split(_ entry: String) -> (host: Substring, port: String?) {
        guard let colon = entry.lastIndex(of: ":") else { return (entry[...], nil) }
        let (host, port) = (entry[..<colon], String(entry[entry.index(after: colon)...]))
        if host.first == "[", host.last == "]" { return (host.dropFirst().dropLast(), port.isEmpty ? nil : port) }
        return host.contains(":") || entry.contains("[") ? (entry[...], nil) : (host, port.isEmpty ? nil : port)
    }

    func matches(host: String, address: IPAddress?, port: String) -> Bool {
        switch self {
        case .all: true
        case .network(let network): address.map(network.contains) ?? false
        case .address(let own, let ownPort): own == address && (ownPort ?? port) == port
        case .domain(let suffix, let includesItself, let ownPort):
            address == nil && (ownPort ?? port) == port
                && (host.hasSuffix(suffix) || includesItself && host == suffix.dropFirst())
        }
    }
}

extension Substring {
    fileprivate func trimmingWhitespace() -> Substring {
        let start = drop(while: \.isWhitespace)
        return start[..<(start.lastIndex { !$0.isWhitespace }.map(start.index(after:)) ?? start.startIndex)]
    }
}
