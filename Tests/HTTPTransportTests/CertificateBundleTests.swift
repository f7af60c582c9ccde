// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Foundation
import HTTPTransport
import HealthMonitorTestKit
import Testing

/// Bundles of authorities by Go's rules. Sources: `AppendCertsFromPEM` in Go's crypto/x509/cert_pool.go;
/// https://github.com/openssl/openssl/issues/16304.
@Suite(.timeLimit(.minutes(50))) struct CertificateBundleTests {
    private static let broken = "-----BEGIN CERTIFICATE-----\nZ2FyYmFnZQ==\n-----END CERTIFICATE-----"

    private func trust(_ texts: String...) -> TLSConfiguration {
        TLSConfiguration(certificateAuthorities: Array(texts.joined(separator: "\n").utf8))
    }

    private func server(
        _ authority: TestCertificateAuthority,
        names: [String] = ["127.0.0.1"]
    ) throws -> TestHTTPServer.Configuration {
        TestHTTPServer.Configuration(identity: try authority.issueServer(names: names))
    }

    // MARK: Reading a bundle

    /// `@` stands for the certificate of an authority.
    @Test(
        arguments: [
            ("", 0, []), ("no PEM", 0, []), ("@", 1, []), ("@\n@", 2, []), ("text\n@\ntext", 1, []),
            ("\(broken)\n@\n\(broken)", 1, [1, 3]),
            // Without an end line, with another label's, invalid base64, headers, no contents.
            ("-----BEGIN CERTIFICATE-----\nZ2Fy\n@", 1, [1]), ("@\n-----BEGIN CERTIFICATE-----\nZ2Fy", 1, [2]),
            ("-----BEGIN CERTIFICATE-----\nZ2Fy\n-----END X-----\n@", 1, [1]),
            ("-----BEGIN CERTIFICATE-----\n***\n-----END CERTIFICATE-----\n@", 1, [1]),
            ("-----BEGIN CERTIFICATE-----\nKey: value\n\nZ2Fy\n-----END CERTIFICATE-----\n@", 1, [1]),
            ("-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n@", 1, [1]),
            // Other blocks are not counted.
            ("-----BEGIN PRIVATE KEY-----\nZ2Fy\n-----END PRIVATE KEY-----\n@", 1, []),
        ] as [(String, Int, [Int])]
    )
    func `unreadable certificates are skipped, and their positions are kept`(
        text: String,
        count: Int,
        skipped: [Int]
    ) throws {
        let pem = text.replacing("@", with: try TestCertificateAuthority().certificatePEM)
        for text in [pem, pem.replacing("\n", with: "\r\n")] {
            let bundle = CertificateBundle(pem: Array(text.utf8))
            #expect(bundle.count == count)
            #expect(bundle.skipped == skipped)
        }
    }

    @Test func `a readable certificate is trusted beside an unreadable one`() async throws {
        let authority = try TestCertificateAuthority()
        let tls = trust(Self.broken, authority.certificatePEM)
        #expect(try await status(of: server(authority), tls) == .success(200))
        #expect(try await status(of: server(TestCertificateAuthority()), tls).error?.code == .tls)
    }

    @Test func `lines may end with CRLF`() async throws {
        let authority = try TestCertificateAuthority()
        let text = authority.certificatePEM.replacing("\n", with: "\r\n")
        #expect(try await status(of: server(authority), trust(text)) == .success(200))
    }

    // MARK: Authorities with the same subject

    @Test(arguments: [true, false], [true, false])
    func `each of two authorities with the same subject is trusted`(isOldFirst: Bool, isIssuedByOld: Bool) async throws
    {
        let (old, new) = (
            try TestCertificateAuthority(commonName: "kubernetes"),
            try TestCertificateAuthority(commonName: "kubernetes")
        )
        let tls =
            isOldFirst ? trust(old.certificatePEM, new.certificatePEM) : trust(new.certificatePEM, old.certificatePEM)
        #expect(try await status(of: server(isIssuedByOld ? old : new), tls) == .success(200))
    }

    @Test func `another authority with the same subject is not trusted`() async throws {
        let trusted = try (1...2).map { _ in try TestCertificateAuthority(commonName: "kubernetes").certificatePEM }
        let untrusted = try TestCertificateAuthority(commonName: "kubernetes")
        for tls in [trust(trusted[0]), trust(trusted[0], trusted[1])] {
            let error = try await status(of: server(untrusted), tls).error
            #expect(error?.code == .tls)
            #expect(error?.message.contains("check the server's certificate") == true, "\(String(describing: error))")
            // A server may send its authority's certificate with its own.
            let identity = try untrusted.issueServer(names: ["127.0.0.1"])
            let withAuthority = TestHTTPServer.Configuration(
                identity: TestIdentity(
                    certificatePEM: "\(identity.certificatePEM)\n\(untrusted.certificatePEM)",
                    privateKeyPEM: identity.privateKeyPEM
                )
            )
            #expect(try await status(of: withAuthority, tls).error?.code == .tls)
        }
    }

    @Test func `name, validity and purpose are verified with several authorities too`() async throws {
        let (old, new) = (
            try TestCertificateAuthority(commonName: "kubernetes"),
            try TestCertificateAuthority(commonName: "kubernetes")
        )
        let tls = trust(old.certificatePEM, new.certificatePEM)
        #expect(try await status(of: server(new, names: ["elsewhere.example"]), tls).error?.code == .tls)
        let past = Date(timeIntervalSinceNow: -7200)...Date(timeIntervalSinceNow: -3600)
        let expired = try new.issueServer(names: ["127.0.0.1"], validity: past)
        let error = try await status(of: .init(identity: expired), tls).error
        #expect(error?.code == .tls)
        #expect(error?.message.contains("expired") == true, "\(String(describing: error))")
        let forClients = try new.issueServer(names: ["127.0.0.1"], isForClients: true)
        #expect(try await status(of: .init(identity: forClients), tls).error?.code == .tls)
    }

    @Test func `an expired authority is not trusted, its successor with the same key is`() async throws {
        let past = Date(timeIntervalSinceNow: -7200)...Date(timeIntervalSinceNow: -3600)
        let other = try TestCertificateAuthority(commonName: "kubernetes")
        let expired = try TestCertificateAuthority(commonName: "kubernetes", validity: past)
        let renewed = try TestCertificateAuthority(commonName: "kubernetes", keyOf: expired)
        let error = try await status(of: server(expired), trust(other.certificatePEM, expired.certificatePEM)).error
        #expect(error?.code == .tls)
        #expect(error?.message.contains("expired") == true, "\(String(describing: error))")
        for tls in [
            trust(expired.certificatePEM, other.certificatePEM, renewed.certificatePEM),
            trust(renewed.certificatePEM, expired.certificatePEM),
        ] {
            #expect(try await status(of: server(expired), tls) == .success(200))
        }
    }

    @Test func `a bundle can have a server's own certificate, which does not make others with its subject trusted`()
        async throws
    {
        let authority = try TestCertificateAuthority()
        let identities = try (1...2).map { _ in try authority.issueServer(names: ["127.0.0.1"]) }
        let tls = trust(identities[0].certificatePEM)
        #expect(try await status(of: .init(identity: identities[0]), tls) == .success(200))
        #expect(try await status(of: .init(identity: identities[1]), tls).error?.code == .tls)
    }
}
