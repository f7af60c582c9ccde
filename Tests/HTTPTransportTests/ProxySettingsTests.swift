// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Testing

@testable import HTTPTransport

/// The rules of golang.org/x/net/http/httpproxy, with the expectations of its proxy_test.go (0ca694d).
@Suite struct ProxySettingsTests {
    private func proxy(_ environment: [String: String], for server: String) throws -> String? {
        try ProxySettings(environment: environment).proxy(for: server)?.description
    }

    // MARK: Variables

    @Test func `each scheme has its own variable, and no other one is read`() throws {
        let environment = ["HTTP_PROXY": "http.proxy", "HTTPS_PROXY": "https://secure.proxy", "ALL_PROXY": "all.proxy"]
        #expect(try proxy(environment, for: "http://api.example/") == "http://http.proxy:80")
        #expect(try proxy(environment, for: "https://api.example/") == "https://secure.proxy:443")
        #expect(try proxy(["HTTP_PROXY": "http.proxy"], for: "https://api.example") == nil)
        #expect(try proxy(["ALL_PROXY": "all.proxy", "all_proxy": "all.proxy"], for: "https://api.example") == nil)
        #expect(try proxy([:], for: "https://api.example") == nil)
    }

    @Test func `upper case wins over lower case, and an empty value counts as unset`() throws {
        let server = "https://api.example"
        #expect(try proxy(["HTTPS_PROXY": "a", "https_proxy": "b"], for: server) == "http://a:80")
        #expect(try proxy(["HTTPS_PROXY": "", "https_proxy": "b"], for: server) == "http://b:80")
        #expect(try proxy(["https_proxy": "b", "no_proxy": "api.example"], for: server) == nil)
        #expect(try proxy(["https_proxy": "b", "NO_PROXY": "x", "no_proxy": "api.example"], for: server) != nil)
        #expect(try proxy(["http_proxy": "b", "REQUEST_METHOD": "GET"], for: "http://api.example") != nil)
    }

    @Test func `an invalid value is an error with the variable's name and without the password`() throws {
        let settings = ProxySettings(environment: ["https_proxy": "ftp://admin:hunter2@proxy", "NO_PROXY": "a.example"])
        do throws(ProxyURL.Invalid) {
            _ = try settings.proxy(for: "https://api.example")
            Issue.record("no error")
        } catch {
            #expect(error.message == "https_proxy: the scheme ftp is not supported: use http, https or socks5")
        }
        // A server that is not proxied needs no valid proxy.
        #expect(try settings.proxy(for: "https://a.example") == nil)
    }

    // MARK: NO_PROXY

    private static let noProxy = """
        foobar.com, .barbaz.net, *.wildcard.io, 192.168.1.1, 192.168.1.2:81, 192.168.1.3:443, 10.0.0.0/30, \
        2001:db8::52:0:1, [2001:db8::52:0:2]:80, [2001:db8::52:0:3]:443, 2002:db8:a::45/64, fd00::/7, api.example:6443
        """

    @Test(
        arguments: [
            // Never proxied.
            ("localhost", false), ("localhost:6443", false), ("127.0.0.1", false), ("127.8.8.8:6443", false),
            ("[::1]", false), ("[::ffff:127.0.0.1]", false), ("[::2]", true), ("localhost.net", true),
            ("local.localhost", true),
            // Addresses, with and without a port.
            ("192.168.1.1", false), ("192.168.1.1:6443", false), ("[::ffff:192.168.1.1]", false), ("192.168.1.2", true),
            ("192.168.1.2:81", false), ("192.168.1.3", false), ("192.168.1.4", true), ("[2001:db8::52:0:1]", false),
            ("[2001:DB8::52:0:1]:6443", false), ("[2001:db8::52:0:2]", true), ("[2001:db8::52:0:3]", false),
            // CIDR of IPv4 and IPv6.
            ("10.0.0.2", false), ("10.0.0.3:6443", false), ("10.0.0.4", true), ("[2002:db8:a::123]", false),
            ("[2002:db8:a:1::123]", true), ("[fd00::1]:6443", false), ("[fc00::1]", false), ("[fe80::424b:c8be]", true),
            // Names.
            ("barbaz.net", true), ("www.barbaz.net", false), ("barbarbaz.net", true), ("baz.com", true),
            ("foobar.com", false), ("www.foobar.com", false), ("FooBar.com:6443", false), ("foofoobar.com", true),
            ("wildcard.io", true), ("nested.wildcard.io", false), ("a.nested.wildcard.io", false),
            ("awildcard.io", true), ("api.example", true), ("api.example:6443", false), ("x.api.example:6443", false),
        ] as [(String, Bool)]
    )
    func `the servers in NO_PROXY are connected to directly`(server: String, isProxied: Bool) throws {
        let environment = ["HTTPS_PROXY": "proxy", "NO_PROXY": Self.noProxy]
        #expect(try proxy(environment, for: "https://\(server)/prefix") == (isProxied ? "http://proxy:80" : nil))
        #expect(try proxy(["HTTPS_PROXY": "proxy", "NO_PROXY": "*"], for: "https://\(server)") == nil)
        #expect(try proxy(["HTTPS_PROXY": "proxy", "NO_PROXY": "x, * ,y"], for: "https://\(server)") == nil)
    }

    @Test(
        arguments: [
            "", ",", " , ", ":1", ":", "[]", "[]:1", ".", "*.", "ample.com", ".example.com", "*example.com", "example",
            "example.com:80", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/8/8", "010.0.0.0/8", "10.0.0.0/-8", "::/129",
            "10.0.0.1/8:443", "exam ple.com", "[10.0.0.1", "10.0.0.1]", "::1", "ex*.com", "https://example.com",
        ]
    )
    func `entries that are malformed or of other servers are ignored`(noProxy: String) throws {
        for server in ["https://example.com", "https://10.0.0.1"] {
            #expect(try proxy(["HTTPS_PROXY": "proxy", "NO_PROXY": noProxy], for: server) == "http://proxy:80")
        }
    }

    @Test func `a server without a port has its scheme's port`() throws {
        let environment = ["HTTPS_PROXY": "proxy", "HTTP_PROXY": "proxy", "NO_PROXY": "a.example:443,b.example:80"]
        #expect(try proxy(environment, for: "https://a.example") == nil)
        #expect(try proxy(environment, for: "http://a.example") != nil)
        #expect(try proxy(environment, for: "http://b.example") == nil)
        #expect(try proxy(environment, for: "https://b.example") != nil)
        #expect(try proxy(environment, for: "https://user@a.example") == nil)
    }

    // MARK: A proxy's URL

    @Test(
        arguments: [
            ("127.0.0.1:8080", "http://127.0.0.1:8080"), ("cache.example:1234", "http://cache.example:1234"),
            ("cache.example", "http://cache.example:80"), ("localhost", "http://localhost:80"),
            ("https://cache.example", "https://cache.example:443"), ("http://127.0.0.1:8080/", "http://127.0.0.1:8080"),
            ("HTTP://cache.example", "http://cache.example:80"), ("socks5://127.0.0.1", "socks5h://127.0.0.1:1080"),
            ("socks5h://a:9", "socks5h://a:9"), ("[fd00::1]:3128", "http://[fd00::1]:3128"),
            ("http://[fd00::1]", "http://[fd00::1]:80"), ("http://cache.example:", "http://cache.example:80"),
        ]
    )
    func `a proxy without a scheme speaks HTTP, and a SOCKS5 proxy resolves the server's name`(
        text: String,
        url: String
    ) throws {
        let proxy = try ProxyURL(text)
        #expect(proxy.curlURL == url)
        #expect(proxy.user == nil)
    }

    @Test(arguments: [
        ("http://u:p@cache.example", "u", "p"), ("u:p@cache.example:80", "u", "p"), ("u@cache.example:80", "u", ""),
        ("http://a%40b:%70:%25@cache.example", "a@b", "p:%"), ("http://u:p@q@cache.example", "u", "p@q"),
    ])
    func `user and password are decoded, and are not in the description`(
        text: String,
        user: String,
        password: String
    ) throws {
        let proxy = try ProxyURL(text)
        #expect(proxy.user == user)
        #expect(proxy.password == password)
        #expect(proxy.description == "http://cache.example:80")
        #expect(proxy.curlURL == proxy.description)
    }

    @Test(arguments: [
        "", "://", "http://", "http://:3128", "http://hunter2:@", "http://a b", "http://a\nb", "http://a\0b", "a:b:c",
        "http://a:99999", "http://a:0", "http://a:x", "http://[::1", "http://[a]:1", "foo://hunter2@host",
        "ftp://host", "http://hunter2%@host", "http://hunter2%zz@host", "http://u:hunter2%0A@host",
        "http://u:hunter2%00@host", "http://u:hunter2%ff@host", "http://u:hunter2/@host", "http://hö.example",
    ])
    func `an invalid proxy's URL is refused without showing a secret`(text: String) {
        let error = #expect(throws: ProxyURL.Invalid.self) { try ProxyURL(text) }
        #expect(error?.message.contains("hunter2") == false)
    }

    @Test(arguments: [
        ("https://api.example:6443/p", "https://api.example:6443/p"), ("https://u:p@a/b@c", "https://a/b@c"),
        ("https://u:p@q@a", "https://a"), ("u:p@a", "a"), ("https://a/b?c@d", "https://a/b?c@d"),
    ])
    func `a URL is shown without its user`(url: String, shown: String) {
        #expect(URLAuthority.withoutUserInfo(url) == shown)
    }
}
