// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Foundation
import HTTPTransport
import HealthMonitorTestKit
import Testing

@Suite(.timeLimit(.minutes(50))) struct HTTPTLSTests {
    let authority: TestCertificateAuthority

    init() throws {
        authority = try TestCertificateAuthority()
    }

    private func server(names: [String] = ["127.0.0.1"]) throws -> TestHTTPServer.Configuration {
        TestHTTPServer.Configuration(identity: try authority.issueServer(names: names))
    }

    @Test func `the server's authority is trusted`() async throws {
        #expect(try await status(of: server(), authority.trust) == .success(200))
    }

    @Test func `another authority is not trusted`() async throws {
        let error = try await status(of: server(), TestCertificateAuthority().trust).error
        #expect(error?.code == .tls)
        #expect(error?.message.contains("check the server's certificate") == true, "\(String(describing: error))")
    }

    @Test func `the system's authorities do not trust it`() async throws {
        #expect(try await status(of: server(), TLSConfiguration()).error?.code == .tls)
    }

    @Test func `a certificate for another name is refused`() async throws {
        let error = try await status(of: server(names: ["elsewhere.example"]), authority.trust).error
        #expect(error?.code == .tls)
    }

    @Test(arguments: [HTTPRequest.Delivery.buffered, .streamed])
    func `a server can be verified under another name`(delivery: HTTPRequest.Delivery) async throws {
        var tls = authority.trust
        tls.serverName = "elsewhere.example"
        try await TestHTTPServer.withServer(server(names: ["elsewhere.example"])) { request in
            TestHTTPResponse(bytes: Array("\(request.header("Host") ?? "") \(request.path)".utf8))
        } _: { server in
            try await withClient(tls: tls) { client in
                let response = try await client.execute(HTTPRequest(url: server.url + "/a%2Fb?x=1", delivery: delivery))
                let body = try await response.body.collect(upTo: 1000)
                #expect(String(decoding: body, as: UTF8.self) == "127.0.0.1:\(server.port) /a%2Fb")
            }
        }
    }

    @Test func `only the other name is verified`() async throws {
        var tls = authority.trust
        tls.serverName = "elsewhere.example"
        #expect(try await status(of: server(), tls).error?.code == .tls)
        tls.serverName = "no name"
        #expect(try await status(of: server(), tls).error?.code == .invalidRequest)
    }

    @Test func `an expired certificate is refused`() async throws {
        let past = Date(timeIntervalSinceNow: -7200)...Date(timeIntervalSinceNow: -3600)
        let expired = TestHTTPServer.Configuration(
            identity: try authority.issueServer(names: ["127.0.0.1"], validity: past)
        )
        let error = try await status(of: expired, authority.trust).error
        #expect(error?.code == .tls)
        #expect(error?.message.contains("expired") == true, "\(String(describing: error))")
    }

    @Test func `an outdated TLS version is refused`() async throws {
        var configuration = try server()
        configuration.isOutdated = true
        let error = try await status(of: configuration, authority.trust).error
        #expect(error?.code == .tls)
        // Nothing else is wrong with the server.
        configuration.isOutdated = false
        #expect(try await status(of: configuration, authority.trust) == .success(200))
    }

    @Test func `verification can be switched off`() async throws {
        let careless = TLSConfiguration(verifiesServer: false)
        #expect(try await status(of: server(names: ["elsewhere.example"]), careless) == .success(200))
    }

    @Test func `a client certificate is sent`() async throws {
        var configuration = try server()
        configuration.clientAuthority = authority
        var tls = authority.trust
        tls.clientCertificate = .init(try authority.issueClient(commonName: "monitor"))
        #expect(try await status(of: configuration, tls) == .success(200))
    }

    @Test func `without a client certificate the server refuses`() async throws {
        var configuration = try server()
        configuration.clientAuthority = authority
        let error = try await status(of: configuration, authority.trust).error
        #expect(error?.code == .tls)
        #expect(error?.message.contains("the server refuses the client certificate") == true, "\(error as Any)")
    }

    @Test func `a new TLS configuration applies to new requests, and those in flight continue`() async throws {
        var configuration = try server()
        configuration.clientAuthority = authority
        var tls = authority.trust
        tls.clientCertificate = .init(try authority.issueClient(commonName: "first"))
        var other = tls
        other.clientCertificate = .init(try authority.issueClient(commonName: "second"))
        let (requests, continuation) = AsyncStream.makeStream(of: Void.self)
        let (released, release) = AsyncStream.makeStream(of: Void.self)
        try await TestHTTPServer.withServer(configuration) { request in
            if request.path == "/slow" {
                continuation.yield()
                for await _ in released { break }
            }
            return TestHTTPResponse(bytes: Array((request.peerCommonName ?? "").utf8))
        } _: { server in
            try await withClient(tls: tls) { client in
                func user(_ path: String) async throws -> String {
                    let response = try await client.execute(HTTPRequest(url: server.url + path))
                    return String(decoding: try await response.body.collect(upTo: 100), as: UTF8.self)
                }
                var users = [try await user("/")]
                async let slow = user("/slow")
                for await _ in requests { break }
                // A kept connection, beside the one that is in use.
                for _ in 0..<2 { users.append(try await user("/")) }
                client.use(other)
                users.append(try await user("/"))
                release.yield()
                users.append(try await slow)
                // No connection of the first configuration is used again.
                for _ in 0..<3 { users.append(try await user("/")) }
                #expect(users == ["first", "first", "first", "second", "first", "second", "second", "second"])
                #expect(server.acceptedConnections == 3)
            }
        }
    }

    @Test(arguments: ["", "no PEM", "-----BEGIN CERTIFICATE-----\nQ0E=\n-----END CERTIFICATE-----\n"])
    func `a client without a readable authority is refused`(authorities: String) throws {
        let tls = TLSConfiguration(certificateAuthorities: Array(authorities.utf8))
        let error = #expect(throws: HTTPError.self) { try HTTPClient(configuration: .init(tls: tls, userAgent: "")) }
        #expect(error?.code == .tls)
        #expect(error?.message == "no certificate authority can be read")
    }
}

extension Result where Failure == HTTPError {
    var error: HTTPError? {
        if case .failure(let error) = self { error } else { nil }
    }
}
