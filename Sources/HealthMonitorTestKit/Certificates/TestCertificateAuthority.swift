// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Crypto
package import Foundation
import SwiftASN1
import X509

/// A certificate authority for one test.
package struct TestCertificateAuthority: Sendable {
    private let key: Certificate.PrivateKey
    private let certificate: Certificate
    /// The authority's own certificate.
    package let certificatePEM: String

    /// Makes a new authority. Neither its certificate nor those that it issues have key identifiers, as with older
    /// versions of kubeadm.
    ///
    /// - Parameters:
    ///   - commonName: its subject; by default a unique one.
    ///   - validity: by default from yesterday for ten years.
    ///   - predecessor: an authority whose key it takes over; by default it has a new key.
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

    /// Issues a server's certificate.
    ///
    /// - Parameters:
    ///   - names: its DNS names and IPv4 addresses.
    ///   - validity: by default from yesterday for a year.
    ///   - isForClients: whether its extended key usage is a client's, which makes it invalid for a server.
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

    /// Issues a client's certificate; Kubernetes takes the common name as the user's name.
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

/// A certificate and its private key.
package struct TestIdentity: Sendable {
    /// The certificate and its chain.
    package let certificatePEM: String
    /// Not encrypted.
    package let privateKeyPEM: String

    package init(certificatePEM: String, privateKeyPEM: String) {
        self.certificatePEM = certificatePEM
        self.privateKeyPEM = privateKeyPEM
    }
}
