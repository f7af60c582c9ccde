// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Testing

@testable import HTTPTransport

struct RenamedServerTests {
    @Test(
        arguments: [
            ("https://10.0.0.1:6443/api?a=b%20c", "https://name.example:6443/api?a=b%20c", "10.0.0.1", ":6443"),
            ("https://host.example/prefix/a%2Fb", "https://name.example/prefix/a%2Fb", "host.example", ""),
            ("https://[::1]:6443/", "https://name.example:6443/", "[::1]", ":6443"),
        ]
    )
    func `the name is in the URL, and the connection goes to the host`(
        url: String,
        renamed: String,
        host: String,
        port: String
    ) throws {
        let server = try #require(RenamedServer(url, name: "name.example"))
        #expect(server.url == renamed)
        #expect(server.connectTo == "::\(host):")
        #expect(server.host == host + port)
    }

    @Test(arguments: [("no URL", "name"), ("https://host/", ""), ("https://host/", "a b"), ("https://host/", "a/b")])
    func `an invalid URL or name is refused`(url: String, name: String) {
        #expect(RenamedServer(url, name: name) == nil)
    }
}
