// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Foundation
import HTTPTransport
import HealthMonitorTestKit
import Testing

@Suite(.timeLimit(.minutes(30))) struct HTTPTLSTests {
    let authority: TestCertificateAuthority

    init() throws {
        authority = try TestCertificateAuthority()
    }

    /// What a client with this configuration gets from a server with this certificate.
    private func status(
        of configuration: TestHTTPServer.Configuration,
        _ tls: TLSConfiguration
    ) async throws -> Result<Int, HTTPError> {
        try await TestHTTPServer.withServer(configuration) { _ in
            TestHTTPResponse()
        } _: { server in
            try await withClient(tls: tls) { client in
                do throws(HTTPError) {
                    return .success(try await client.execute(HTTPRequest(url: server.url)).status)
                } catch {
                    return .failure(error)
                }
            }
        }
    }

    private func server(names: [String] = ["127.0.0.1"]) throws -> TestHTTPServer.Configuration {
        TestHTTPServer.Configuration(identity: try authority.issueServer(names: names))
    }

    @Test func theServersAuthorityIsTrusted() async throws {
        #expect(try await status(of: server(), authority.trust) == .success(200))
    }

    @Test func anotherAuthorityIsNotTrusted() async throws {
        let error = try await status(of: server(), TestCertificateAuthority().trust).error
        #expect(error?.code == .tls)
        #expect(error?.message.contains("check the server's certificate") == true, "\(String(describing: error))")
    }

    @Test func theSystemsAuthoritiesDoNotTrustIt() async throws {
        #expect(try await status(of: server(), TLSConfiguration()).error?.code == .tls)
    }

    @Test func aCertificateForAnotherNameIsRefused() async throws {
        let error = try await status(of: server(names: ["elsewhere.example"]), authority.trust).error
        #expect(error?.code == .tls)
    }

    @Test(arguments: [HTTPRequest.Delivery.buffered, .streamed])
    func aServerCanBeVerifiedUnderAnotherName(delivery: HTTPRequest.Delivery) async throws {
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

    @Test func theOtherNameIsTheOnlyOneThatIsTrusted() async throws {
        var tls = authority.trust
        tls.serverName = "elsewhere.example"
        #expect(try await status(of: server(), tls).error?.code == .tls)
        tls.serverName = "no name"
        #expect(try await status(of: server(), tls).error?.code == .invalidRequest)
    }

    @Test func anExpiredCertificateIsRefused() async throws {
        let past = Date(timeIntervalSinceNow: -7200)...Date(timeIntervalSinceNow: -3600)
        let expired = TestHTTPServer.Configuration(
            identity: try authority.issueServer(names: ["127.0.0.1"], validity: past)
        )
        let error = try await status(of: expired, authority.trust).error
        #expect(error?.code == .tls)
        #expect(error?.message.contains("expired") == true, "\(String(describing: error))")
    }

    @Test func anOutdatedTLSIsRefused() async throws {
        var configuration = try server()
        configuration.isOutdated = true
        let error = try await status(of: configuration, authority.trust).error
        #expect(error?.code == .tls)
        // The server is all right but for that.
        configuration.isOutdated = false
        #expect(try await status(of: configuration, authority.trust) == .success(200))
    }

    @Test func verificationCanBeSwitchedOff() async throws {
        let careless = TLSConfiguration(verifiesServer: false)
        #expect(try await status(of: server(names: ["elsewhere.example"]), careless) == .success(200))
    }

    @Test func aClientCertificateIsShown() async throws {
        var configuration = try server()
        configuration.clientAuthority = authority
        var tls = authority.trust
        tls.clientCertificate = .init(try authority.issueClient(commonName: "monitor"))
        #expect(try await status(of: configuration, tls) == .success(200))
    }

    @Test func withoutAClientCertificateTheServerRefuses() async throws {
        var configuration = try server()
        configuration.clientAuthority = authority
        #expect(try await status(of: configuration, authority.trust).error != nil)
    }

    @Test func whatIsNoCertificateIsRefused() async throws {
        let garbage = TLSConfiguration(certificateAuthorities: Array("no PEM".utf8))
        #expect(try await status(of: server(), garbage).error?.code == .tls)
    }
}

extension Result where Failure == HTTPError {
    fileprivate var error: HTTPError? {
        if case .failure(let error) = self { error } else { nil }
    }
}
