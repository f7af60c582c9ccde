// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import GRPCTransport
import Testing

@testable import CSIClient

/// Secrets as in real clusters, and drivers that repeat them in various forms.
@Suite(.timeLimit(.minutes(50))) struct RedactionTests {
    static let key = """
        -----BEGIN PRIVATE KEY-----
        MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7
        VJTUt9Us8cKjMzEfYyjiWA4R4/M2bS1GB4t7NXp98C3SC6dVMvDu
        -----END PRIVATE KEY-----

        """
    static let account = #"{"type": "service_account", "client": {"private_key": "abc\nMIIEvQsecretsecret\n"}, "n": 1}"#

    /// The secret, the driver's text, and the part of it that must not be seen anywhere.
    static let cases: [(secret: String, text: String, hidden: String)] = [
        (key, key, "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7"),
        (key, "bad line VJTUt9Us8cKjMzEfYyjiWA4R4/M2bS1GB4t7NXp98C3SC6dVMvDu", "VJTUt9Us8cKjMzEfYyjiWA4R4"),
        (key, #"{"key":"\#(key.split(separator: "\n").joined(separator: #"\n"#))"}"#, "VJTUt9Us8cKjMzEfYyjiWA4R4"),
        (account, "cannot use \(account)", "MIIEvQsecretsecret"),
        (account, "cannot use key abc\nMIIEvQsecretsecret\n", "MIIEvQsecretsecret"),
        (account, "cannot use line MIIEvQsecretsecret", "MIIEvQsecretsecret"),
        (#"p"a\ss"#, #"{"password":"p\"a\\ss"}"#, #"a\\ss"#),
        ("p&ss<w0rd", #"{"password":"p\u0026ss\u003cw0rd"}"#, #"ss\u003cw0rd"#),
        ("pw-q7w\n", "login with pw-q7w failed", "pw-q7w"),
        ("  pw-q7w\r\n", "login with pw-q7w failed", "pw-q7w"),
    ]

    @Test(arguments: cases)
    func `a secret is redacted from a text`(secret: String, text: String, hidden: String) {
        let redacted = Redaction(["key": secret])(text)
        #expect(!redacted.contains(hidden), "\(redacted)")
        #expect(redacted.contains(Redaction.placeholder))
    }

    @Test(arguments: ["", "a", "ab\n", "{}", "[1]", "\n\n\n", #"{"a":"b"}"#])
    func `short and empty values are not redacted`(secret: String) {
        #expect(Redaction(["key": secret])("a ab b {a: b} [1]") == "a ab b {a: b} [1]")
    }

    /// At --v=10 requests and responses are logged as JSON, in which a text is escaped.
    @Test(arguments: cases)
    func `no log line and no reply contains a secret that the driver repeats`(
        secret: String,
        text: String,
        hidden: String
    ) async throws {
        let log = makeLog()
        // volume_health=1 { volume_id=1, health_statuses=2 { status=1, reason=2, message=3 } }
        let entry = Wire.message(2, Wire.integer(1, 2), Wire.text(2, text), Wire.text(3, text))
        let health = Wire.message(1, Wire.text(1, "a"), entry)
        let line = hidden.replacing("\\\\", with: "\\")
        try await withResponses(logger: log.logger) { method, _ in
            if method.hasSuffix("ControllerListVolumeHealth") { return .success(health + Wire.text(2, "")) }
            return method.hasSuffix("Probe") ? .failure(GRPCError(code: .internal, message: text)) : .success(health)
        } _: { client in
            let volume = try await client.getVolumeHealth(id: "a", secrets: ["key": secret])
            #expect(volume.entries.allSatisfy { !$0.message.contains(hidden) && !$0.reason.contains(line) })
            for try await page in client.listVolumeHealth(secrets: ["key": secret]) {
                #expect(page.flatMap(\.entries).allSatisfy { !$0.message.contains(hidden) })
            }
        }
        #expect(!log.text().contains(hidden), "\(log.text())")
        #expect(!log.text().contains(line))
    }

    @Test func `an error does not contain a secret that the driver repeats`() async throws {
        try await withResponses { _, _ in
            .failure(GRPCError(code: .unauthenticated, message: "\(Self.key) is wrong"))
        } _: { client in
            let error = await #expect(throws: CSIError.self) {
                try await client.getVolumeHealth(id: "a", secrets: ["key": Self.key])
            }
            #expect(error?.message.contains("MIIEvQ") == false)
            #expect(error?.message.contains("VJTUt9") == false)
        }
    }
}
