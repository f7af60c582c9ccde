// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Crypto
package import Foundation
import SwiftASN1
import X509

/// A certificate authority of one test's own: whoever trusts it trusts nothing else, and nobody else trusts it.
package struct TestCertificateAuthority: Sendable {
    private let key: Certificate.PrivateKey
    private let certificate: Certificate
    /// The authority's own certificate.
    package let certificatePEM: String

    /// A new authority. Neither its certificate nor those that it issues have key identifiers, as kubeadm's had none.
    ///
    /// - Parameters:
    ///   - commonName: its subject; by default, one that no other authority has.
    ///   - validity: when it is valid; by default from yesterday for ten years.
    ///   - predecessor: whose key it has; by default, a key of its own.
    package init(
        commonName: String? = nil,
        validity: ClosedRange<Date>? = nil,
        keyOf predecessor: TestCertificateAuthority? = nil
    ) throws {
        key = predecessor?.key ?? Certificate.PrivateKey(P256.Signing.PrivateKey())
        let name = try DistinguishedName { CommonName(commonName ?? "test authority \(UUID().uuidString)") }
        certificate = try Certificate(
            version: .v3,
            serialNumber: Certificate.SerialNumber(),
            publicKey: key.publicKey,
            notValidBefore: validity?.lowerBound ?? Date(timeIntervalSinceNow: -86_400),
            notValidAfter: validity?.upperBound ?? Date(timeIntervalSinceNow: 3650 * 86_400),
            issuer: name,
            subject: name,
            signatureAlgorithm: .ecdsaWithSHA256,
            extensions: Certificate.Extensions {
                Critical(BasicConstraints.isCertificateAuthority(maxPathLength: nil))
                Critical(KeyUsage(keyCertSign: true, cRLSign: true))
            },
            issuerPrivateKey: key
        )
        certificatePEM = try certificate.serializeAsPEM().pemString
    }

    /// A server's certificate.
    ///
    /// - Parameters:
    ///   - names: DNS names and IPv4 addresses that it is for.
    ///   - validity: when it is valid; by default from yesterday for a year.
    ///   - isForClients: to be wrong in its purpose and right in everything else.
    package func issueServer(
        names: [String],
        validity: ClosedRange<Date>? = nil,
        isForClients: Bool = false
    ) throws -> TestIdentity {
        let alternatives = names.map { name -> GeneralName in
            let octets = name.split(separator: ".").compactMap { UInt8($0) }
            return octets.count == 4 ? .ipAddress(.init(contentBytes: octets[...])) : .dnsName(name)
        }
        return try issue(
            commonName: names.first ?? "server",
            validity: validity,
            extensions: Certificate.Extensions {
                try ExtendedKeyUsage([isForClients ? .clientAuth : .serverAuth])
                SubjectAlternativeNames(alternatives)
            }
        )
    }

    /// A client's certificate; Kubernetes takes the common name for the user's.
    package func issueClient(commonName: String) throws -> TestIdentity {
        try issue(
            commonName: commonName,
            validity: nil,
            extensions: Certificate.Extensions { try ExtendedKeyUsage([.clientAuth]) }
        )
    }

    private func issue(
        commonName: String,
        validity: ClosedRange<Date>?,
        extensions: Certificate.Extensions
    ) throws -> TestIdentity {
        let key = P256.Signing.PrivateKey()
        let certificate = try Certificate(
            version: .v3,
            serialNumber: Certificate.SerialNumber(),
            publicKey: Certificate.PublicKey(key.publicKey),
            notValidBefore: validity?.lowerBound ?? Date(timeIntervalSinceNow: -86_400),
            notValidAfter: validity?.upperBound ?? Date(timeIntervalSinceNow: 365 * 86_400),
            issuer: certificate.subject,
            subject: try DistinguishedName { CommonName(commonName) },
            signatureAlgorithm: .ecdsaWithSHA256,
            extensions: extensions,
            issuerPrivateKey: self.key
        )
        return TestIdentity(
            certificatePEM: try certificate.serializeAsPEM().pemString,
            privateKeyPEM: key.pemRepresentation
        )
    }
}

/// A certificate and the key that goes with it.
package struct TestIdentity: Sendable {
    /// The certificate, and those that are sent with it.
    package let certificatePEM: String
    /// Its key, not encrypted.
    package let privateKeyPEM: String

    /// A certificate and its key.
    package init(certificatePEM: String, privateKeyPEM: String) {
        self.certificatePEM = certificatePEM
        self.privateKeyPEM = privateKeyPEM
    }
}
