// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Foundation
import HTTPTransport
import HealthMonitorTestKit
import Testing

@testable import KubernetesClient

@Suite struct ExecCredentialTests {
    private static let v1 = "client.authentication.k8s.io/v1"

    private func read(_ text: String, apiVersion: String = v1) throws -> ExecCredential {
        try ExecCredential(output: Array(text.utf8), apiVersion: apiVersion)
    }

    private func read(status: String) throws -> ExecCredential {
        try read(#"{"kind": "ExecCredential", "apiVersion": "\#(Self.v1)", "status": \#(status)}"#)
    }

    @Test func `a token is read, and unknown fields are ignored`() throws {
        let credential = try read(status: #"{"token": "secret", "expirationTimestamp": null, "other": [1]}"#)
        #expect(credential.token == "secret")
        #expect(credential.clientCertificate == nil)
        #expect(credential.expiration == nil)
    }

    @Test(arguments: [
        ("2026-11-28T22:00:00Z", 1_795_903_200), ("2026-11-28T23:30:00+01:30", 1_795_903_200),
        ("2026-11-28T22:00:00.25Z", 1_795_903_200.25),
    ])
    func `expirationTimestamp is in RFC 3339 format`(_ text: String, seconds: Double) throws {
        #expect(try read(status: #"{"token": "t", "expirationTimestamp": "\#(text)"}"#).expiration == seconds)
    }

    @Test func `a certificate and its key are read`() throws {
        let identity = try TestCertificateAuthority().issueClient(commonName: "monitor")
        let data = try JSONEncoder().encode([
            "clientCertificateData": identity.certificatePEM, "clientKeyData": identity.privateKeyPEM,
        ])
        let credential = try read(status: String(decoding: data, as: UTF8.self))
        #expect(credential.token == nil)
        #expect(credential.clientCertificate?.certificate == Array(identity.certificatePEM.utf8))
        #expect(credential.clientCertificate?.privateKey == Array(identity.privateKeyPEM.utf8))
    }

    @Test(arguments: [
        ("", "no ExecCredential"), ("secret", "no ExecCredential"), ("{}", "did not return"),
        (#"{"kind": "ExecCredential", "apiVersion": "client.authentication.k8s.io/v1beta1"}"#, "did not return"),
        (#"{"kind": "Secret", "apiVersion": "client.authentication.k8s.io/v1"}"#, "did not return"),
        (#"{"kind": "ExecCredential", "apiVersion": "client.authentication.k8s.io/v1"}"#, "no status"),
    ])
    func `output that is not an ExecCredential of the requested version is rejected`(_ text: String, reason: String) {
        let error = #expect(throws: KubernetesConfigurationError.self) { try read(text) }
        #expect(error?.message.contains(reason) == true, "\(error as Any)")
    }

    @Test(arguments: [
        ("{}", "neither a token"), (#"{"token": ""}"#, "neither a token"), (#"{"token": "sec ret"}"#, "characters"),
        (#"{"token": "secret", "clientKeyData": "secret"}"#, "not both"),
        (#"{"clientCertificateData": "secret"}"#, "not both"),
        (#"{"clientCertificateData": "secret", "clientKeyData": "secret"}"#, "no certificate in PEM"),
        (#"{"token": "secret", "expirationTimestamp": "secret"}"#, "RFC 3339"),
        (#"{"token": ["secret"]}"#, "no ExecCredential"),
    ])
    func `an unusable status is rejected with an error that does not contain it`(_ status: String, reason: String) {
        let error = #expect(throws: KubernetesConfigurationError.self) { try read(status: status) }
        #expect(error?.message.contains(reason) == true, "\(error as Any)")
        #expect(error?.message.contains("secret") == false)
    }

    @Test func `the credential is redacted from standard error`() throws {
        let identity = try TestCertificateAuthority().issueClient(commonName: "monitor")
        let data = try JSONEncoder().encode([
            "token": "secret", "clientCertificateData": identity.certificatePEM,
            "clientKeyData": identity.privateKeyPEM,
        ])
        let credential = try read(status: String(decoding: data, as: UTF8.self))
        let text = credential.redacting("got secret and\n\(identity.privateKeyPEM)")
        #expect(text.hasPrefix("got [redacted] and\n-----BEGIN PRIVATE KEY-----\n[redacted]\n[redacted]\n"))
    }

    @Test(arguments: 1...12)
    func `the beginning of a credential at the end of a text that was cut is removed`(length: Int) throws {
        let credential = try read(status: #"{"token": "abcabcabcabd"}"#)
        let text = "secret abcabcabcabd, token: " + "abcabcabcabd".prefix(length)
        let expected = "secret [redacted], token: " + (length == 12 ? "[redacted]" : "")
        #expect(credential.redacting(text, mayBeCut: true) == expected)
    }
}

@Suite struct ExecCredentialCacheTests {
    private let failure = KubernetesConfigurationError(code: .invalid, message: "failed")

    private func credential(_ token: String, expiration: Double? = nil) throws -> ExecCredential {
        let text = #"{"kind": "ExecCredential", "apiVersion": "v", "status": {"token": "\#(token)"}}"#
        var credential = try ExecCredential(output: Array(text.utf8), apiVersion: "v")
        credential.expiration = expiration
        return credential
    }

    private func text(_ step: ExecCredentialCache.Step?) -> String {
        switch step {
        case .use(let entry): "use \(entry.credential.token ?? "none") \(entry.run)"
        case .fail(let error): error.message
        case .run: "run"
        case nil: "none"
        }
    }

    @Test func `a credential is used until it expires`() throws {
        var cache = ExecCredentialCache()
        #expect(text(cache.step(now: .zero, date: 0)) == "run")
        cache.ran(.success(try credential("a", expiration: 100)), now: .zero)
        #expect(text(cache.step(now: .seconds(50), date: 100)) == "use a 1")
        #expect(text(cache.step(now: .seconds(50), date: 100.5)) == "run")
        cache.ran(.success(try credential("b")), now: .seconds(50))
        #expect(text(cache.step(now: .seconds(1_000_000), date: 1e12)) == "use b 2")
    }

    @Test func `a rejected credential is replaced, and the plugin runs at most once a second`() throws {
        var cache = ExecCredentialCache()
        cache.ran(.success(try credential("a")), now: .zero)
        #expect(text(cache.stepAfterRejection(of: 1, now: .milliseconds(999))) == "none")
        #expect(text(cache.stepAfterRejection(of: 1, now: .seconds(1))) == "run")
        cache.ran(.success(try credential("b")), now: .seconds(1))
        // Other requests that were sent with the first credential.
        #expect(text(cache.stepAfterRejection(of: 1, now: .seconds(1))) == "use b 2")
        #expect(text(cache.stepAfterRejection(of: 2, now: .seconds(1))) == "none")
    }

    @Test func `a failure is kept for a second`() throws {
        var cache = ExecCredentialCache()
        cache.ran(.failure(failure), now: .zero)
        #expect(text(cache.step(now: .milliseconds(999), date: 0)) == "failed")
        #expect(text(cache.step(now: .seconds(1), date: 0)) == "run")
    }

    @Test func `a credential stays in use after a failure until it expires`() throws {
        var cache = ExecCredentialCache()
        cache.ran(.success(try credential("a", expiration: 100)), now: .zero)
        cache.ran(.failure(failure), now: .seconds(10))
        #expect(text(cache.step(now: .seconds(10), date: 50)) == "use a 1")
        #expect(text(cache.step(now: .seconds(10), date: 101)) == "failed")
        #expect(text(cache.step(now: .seconds(11), date: 101)) == "run")
    }

    @Test func `a credential that is expired already is used for a second`() throws {
        var cache = ExecCredentialCache()
        cache.ran(.success(try credential("a", expiration: 100)), now: .zero)
        #expect(text(cache.step(now: .milliseconds(999), date: 200)) == "use a 1")
        #expect(text(cache.step(now: .seconds(1), date: 200)) == "run")
    }
}
