// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Foundation
import HealthMonitorTestKit
import SwiftASN1
import Testing
import X509

/// By a verifier of RFC 5280; TLS clients verify these certificates in HTTPTransport's tests.
struct TestCertificateAuthorityTests {
    let authority: TestCertificateAuthority

    init() throws {
        authority = try TestCertificateAuthority()
    }

    private func isValid(
        _ identity: TestIdentity,
        of authority: TestCertificateAuthority,
        host: String
    ) async throws -> Bool {
        var verifier = Verifier(
            rootCertificates: CertificateStore([try Certificate(pemEncoded: authority.certificatePEM)])
        ) {
            RFC5280Policy()
            ServerIdentityPolicy(serverHostname: host, serverIP: host)
        }
        let result = await verifier.validate(
            leaf: try Certificate(pemEncoded: identity.certificatePEM),
            intermediates: CertificateStore()
        )
        if case .validCertificate = result { return true } else { return false }
    }

    @Test(arguments: ["127.0.0.1", "localhost", "api.example"])
    func `a server's certificate is valid for its names and addresses`(host: String) async throws {
        let identity = try authority.issueServer(names: ["127.0.0.1", "localhost", "api.example"])
        #expect(try await isValid(identity, of: authority, host: host))
    }

    @Test(arguments: ["127.0.0.2", "elsewhere.example"])
    func `it is not valid for other names`(host: String) async throws {
        let identity = try authority.issueServer(names: ["127.0.0.1", "api.example"])
        #expect(try await !isValid(identity, of: authority, host: host))
    }

    @Test func `another authority does not verify it`() async throws {
        let identity = try authority.issueServer(names: ["localhost"])
        #expect(try await !isValid(identity, of: TestCertificateAuthority(), host: "localhost"))
    }

    @Test func `it is valid only in its validity period`() async throws {
        let start = Date(timeIntervalSince1970: 1_600_000_000)
        let identity = try authority.issueServer(
            names: ["localhost"],
            validity: start...start.addingTimeInterval(3600)
        )
        let certificate = try Certificate(pemEncoded: identity.certificatePEM)
        #expect(certificate.notValidBefore == start)
        #expect(certificate.notValidAfter == start.addingTimeInterval(3600))
        #expect(try await !isValid(identity, of: authority, host: "localhost"))
    }

    @Test func `the key belongs to the certificate`() throws {
        let identity = try authority.issueClient(commonName: "monitor")
        let key = try Certificate.PrivateKey(pemEncoded: identity.privateKeyPEM)
        let certificate = try Certificate(pemEncoded: identity.certificatePEM)
        #expect(key.publicKey == certificate.publicKey)
        #expect(certificate.subject.description == "CN=monitor")
    }

    @Test func `a server's certificate is not valid for clients, nor a client's for servers`() throws {
        let server = try Certificate(pemEncoded: authority.issueServer(names: ["localhost"]).certificatePEM)
        let client = try Certificate(pemEncoded: authority.issueClient(commonName: "monitor").certificatePEM)
        #expect(try server.extensions.extendedKeyUsage == ExtendedKeyUsage([.serverAuth]))
        #expect(try client.extensions.extendedKeyUsage == ExtendedKeyUsage([.clientAuth]))
    }
}
