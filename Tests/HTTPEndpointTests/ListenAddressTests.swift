// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Testing

@testable import HTTPEndpoint

@Suite struct ListenAddressTests {
    @Test(arguments: [
        (":8080", "", 8080), ("127.0.0.1:9808", "127.0.0.1", 9808), ("[::1]:8080", "::1", 8080),
        ("[fe80::1%eth0]:1", "fe80::1%eth0", 1), ("localhost:0", "localhost", 0), ("[::]:65535", "::", 65535),
        ("0.0.0.0:80", "0.0.0.0", 80),
    ])
    func `addresses in Go's syntax are parsed`(text: String, host: String, port: UInt16) throws {
        let address = try ListenAddress(parsing: text)
        #expect(address == ListenAddress(host: host, port: port))
        #expect(address.description == text)
    }

    @Test(arguments: [
        "", "8080", "localhost", "localhost:", ":http", ":65536", ":-1", ":+1", "::1:80", "[::1:80", ":8 0",
    ])
    func `an invalid address is refused`(text: String) {
        let error = #expect(throws: EndpointError.self) { try ListenAddress(parsing: text) }
        #expect(error?.code == .invalidAddress)
        #expect(error?.message.contains("\"\(text)\"") == true)
        #expect(error?.message.contains("write :8080") == true)
    }
}
