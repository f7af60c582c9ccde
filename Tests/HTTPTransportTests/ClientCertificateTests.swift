// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HealthMonitorTestKit
import Testing

@testable import HTTPTransport

/// Client certificates and keys that cannot be used are refused when a client is made, before anything is sent.
@Suite(.timeLimit(.minutes(50))) struct ClientCertificateTests {
    private typealias Problem = TLSConfiguration.ClientCertificate.Problem

    private let identity: TestIdentity

    init() throws {
        identity = try TestCertificateAuthority().issueClient(commonName: "monitor")
    }

    private func problem(_ certificate: String, _ privateKey: String) -> Problem? {
        do throws(Problem) {
            try TLSConfiguration.ClientCertificate(
                certificate: Array(certificate.utf8),
                privateKey: Array(privateKey.utf8)
            )
            .check()
            return nil
        } catch {
            return error
        }
    }

    @Test func `a certificate and its key are accepted, also in one file and with text around them`() throws {
        #expect(problem(identity.certificatePEM, identity.privateKeyPEM) == nil)
        let both = "subject=CN = monitor\n\(identity.privateKeyPEM)\n\(identity.certificatePEM)\n"
        #expect(problem(both, both) == nil)
        let withCRLF = both.split(separator: "\n").joined(separator: "\r\n")
        #expect(problem(withCRLF, withCRLF) == nil)
    }

    @Test(arguments: [EncryptedKey.pem, traditionallyEncryptedKey])
    func `an encrypted key is refused`(key: String) {
        let problem = problem(identity.certificatePEM, key)
        #expect(problem?.part == .privateKey)
        #expect(
            problem?.message
                == "the private key is encrypted, which is not supported: decrypt it, as openssl pkey does"
        )
    }

    @Test(arguments: [
        ("", "there is no private key in PEM"), ("garbage", "there is no private key in PEM"),
        ("-----BEGIN PRIVATE KEY-----\nZ2FyYmFnZQ==\n-----END PRIVATE KEY-----\n", "the private key cannot be read"),
        ("-----BEGIN PRIVATE KEY-----\n*\n-----END PRIVATE KEY-----\n", "the private key cannot be read"),
        ("-----BEGIN PRIVATE KEY-----\nMIGHAgEA", "the private key cannot be read"),
    ])
    func `a key that cannot be read is refused`(key: String, message: String) {
        #expect(problem(identity.certificatePEM, key) == Problem(part: .privateKey, message: message))
    }

    @Test(arguments: ["", "garbage", "-----BEGIN CERTIFICATE-----\nZ2FyYmFnZQ==\n-----END CERTIFICATE-----\n"])
    func `a certificate that cannot be read is refused`(certificate: String) {
        let problem = problem(certificate, identity.privateKeyPEM)
        #expect(problem == Problem(part: .certificate, message: "there is no certificate in PEM that can be read"))
    }

    @Test func `an unreadable certificate after the first one is refused`() {
        let broken = "-----BEGIN CERTIFICATE-----\nZ2FyYmFnZQ==\n-----END CERTIFICATE-----\n"
        let problem = problem("\(identity.certificatePEM)\n\(broken)", identity.privateKeyPEM)
        #expect(problem == Problem(part: .certificate, message: "a certificate behind the first one cannot be read"))
    }

    @Test func `a key that does not belong to the certificate is refused`() throws {
        let other = try TestCertificateAuthority().issueClient(commonName: "monitor")
        for key in [other.privateKeyPEM, weakKey] {
            let problem = problem(identity.certificatePEM, key)
            #expect(
                problem == Problem(part: .privateKey, message: "the private key does not belong to the certificate")
            )
        }
    }

    @Test func `a key that is too weak for OpenSSL is refused with OpenSSL's reason`() {
        let problem = problem(weakCertificate, weakKey)
        #expect(problem?.message == "the certificate cannot be used: ee key too small")
    }

    @Test(arguments: [EncryptedKey.pem, traditionallyEncryptedKey, "garbage", ""])
    func `a client with an unusable key is refused`(key: String) {
        let certificate = TLSConfiguration.ClientCertificate(
            certificate: Array(identity.certificatePEM.utf8),
            privateKey: Array(key.utf8)
        )
        let tls = TLSConfiguration(clientCertificate: certificate)
        let error = #expect(throws: HTTPError.self) { try HTTPClient(configuration: .init(tls: tls, userAgent: "")) }
        #expect(error?.code == .tls)
        #expect(error?.message.hasPrefix("client certificate: ") == true)
    }

    // Made with openssl for these tests only. The password is "x".
    private static let traditionallyEncryptedKey = """
        -----BEGIN EC PRIVATE KEY-----
        Proc-Type: 4,ENCRYPTED
        DEK-Info: AES-128-CBC,32DA06C81AEA4026FB7A4F6CB1B421C8

        tETQ63Vz20uRpTVWreYrARhsXw7V0QWE46JzVXS+6KTHj8nwN0uljCbIhS94BX4O
        Iji7Rv8O2fC+RojPxHV37cp1WJr7MfkI1mdml9CIn0NNacPNiV46EOZqLwg59Vgh
        WZHtsc4BRMPKoDCbwpeoVdSrr96ovXZD0SoQSFbAVuc=
        -----END EC PRIVATE KEY-----
        """

    /// RSA with 1024 bits.
    private let weakKey = """
        -----BEGIN PRIVATE KEY-----
        MIICeAIBADANBgkqhkiG9w0BAQEFAASCAmIwggJeAgEAAoGBALas18/v65sqV0cn
        N1CW3VsXtD1Ou+t1waSsfhHdjda7b8C3Z7xMm4kYwLT9kFGNLNF8PAdNAeNM6yAU
        Mmhk+0hj4fx8Km4NxINBGtH9rvyq8ORdUfRPmxDaO2j/n/BEKE2nuXGOk2+GjX7y
        TE904i6ph5Ct2Owe5HZkzGnnfGI1AgMBAAECgYA3xmpWWODNDY58cSLYflezuncT
        yPhjmh630trjRYxLJgunAdiwi4tpvp8II+tumvY2OAJ0EDUlW5TmxIPnj/2QxmRu
        /f3VkNA03KHriXTVnhYCeYlvlVZ8/d4B26/zTVujrAf5JbJKK2yFfPuFtHOeAaRZ
        kQoinBGYUTnuvLBygQJBAOc5xDtbIbAAeglx49pRL1imqszIZlkOkF1OH64gY6Ve
        f8Uy5g3lFXoj+oaCR3HfrHNp/nzEA+ZxGkjTClvHUmUCQQDKP2WWl9S2U3TaIO6b
        UIIvhY3ucYoW6m2muT7bam1cjnrbzPiv/78SCFNMykdDf4wmEVm6g625vXsi1Aq9
        5OuRAkEA0yETBeOreeqlg/RDSjgxFDBy6rPdiFndBeVs1fDrK7eC0UwtdeiEWNd7
        TNCubdL/ww64ebH9obAKgQ56ed0hZQJBAI/0wCKIv+dnT+1TM4NpssCQl435Uwks
        pA/gG1WiU2VmJRz+sKTVrPLw6hnmgQMSbndKMkwIHkfvDw6jT2IK54ECQQDUfD+H
        J4cmpkp+Q2J3AyIMaT5kM3N9xZ6yctbOaXcIg48XbKXhgmFY3gNWb/ZJuH0iH+ZO
        OHYCEa9nahmlC11W
        -----END PRIVATE KEY-----
        """

    private let weakCertificate = """
        -----BEGIN CERTIFICATE-----
        MIIB/jCCAWegAwIBAgIUPp2kLNI1qVEC0iRfTbhzSwyYJOgwDQYJKoZIhvcNAQEL
        BQAwEDEOMAwGA1UEAwwFc21hbGwwIBcNMjYxMTI4MjIzMzIyWhgPMjEyNjExMDQy
        MjMzMjJaMBAxDjAMBgNVBAMMBXNtYWxsMIGfMA0GCSqGSIb3DQEBAQUAA4GNADCB
        iQKBgQC2rNfP7+ubKldHJzdQlt1bF7Q9TrvrdcGkrH4R3Y3Wu2/At2e8TJuJGMC0
        /ZBRjSzRfDwHTQHjTOsgFDJoZPtIY+H8fCpuDcSDQRrR/a78qvDkXVH0T5sQ2jto
        /5/wRChNp7lxjpNvho1+8kxPdOIuqYeQrdjsHuR2ZMxp53xiNQIDAQABo1MwUTAd
        BgNVHQ4EFgQUTR0jYHxa7B0QeEpMNrJnR/MFTD4wHwYDVR0jBBgwFoAUTR0jYHxa
        7B0QeEpMNrJnR/MFTD4wDwYDVR0TAQH/BAUwAwEB/zANBgkqhkiG9w0BAQsFAAOB
        gQBMnpPa63F4fH3/WpWZsGAKOAZC4V7XXGPRybfcuf1P9GTeeB1bfalynYhsjasS
        xqIVidDZt8fp7hvGaZO3gIJHc+a/Rm0LgnQfQnFBWajPA0LwqLSNIDpp8dME9ZVx
        MpD/YJAT5a1NMGQYHCWzmUwl36U326tKxiWAv08jtlMRaQ==
        -----END CERTIFICATE-----
        """
}
