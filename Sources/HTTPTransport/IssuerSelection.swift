// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import COpenSSL

/// Finds the issuer of a certificate among several trusted authorities with the same subject, as Go does: while a
/// cluster's certificate authority is rotated, the bundle has the old and the new one, both `CN=kubernetes`.
///
/// OpenSSL takes the first authority that is valid and whose subject and key identifiers match, and tries no other one
/// when its key does not verify the certificate (`X509_STORE_CTX_get1_issuer` in crypto/x509/x509_vfy.c;
/// https://github.com/openssl/openssl/issues/16304). Authorities made by kubeadm and others have no key identifier, nor
/// have the certificates that they issue. Here the key decides.
///
/// The choice is among trusted authorities only. OpenSSL then verifies the whole chain as usual: signatures, validity,
/// purposes, constraints and host name.
enum IssuerSelection {
    /// - Parameter context: `SSL_CTX *`
    static func install(in context: OpaquePointer) {
        guard let store = unsafe SSL_CTX_get_cert_store(context) else { return }
        // X509_STORE_set_get_issuer(3): returns 1 and a reference to the issuer, or 0 if the store does not have it.
        unsafe X509_STORE_set_get_issuer(store) { issuer, context, certificate in
            guard let issuer = unsafe issuer, let context = unsafe context, let certificate = unsafe certificate
            else { return -1 }
            unsafe issuer.pointee = IssuerSelection.issuer(of: certificate, in: context)
            return unsafe issuer.pointee == nil ? 0 : 1
        }
    }

    /// A reference, which the caller has to free.
    private static func issuer(of certificate: OpaquePointer, in context: OpaquePointer) -> OpaquePointer? {
        // A candidate that does not match leaves an error in the queue, which a later failure would report as its
        // reason.
        ERR_set_mark()
        defer { ERR_pop_to_mark() }
        // X509_STORE_CTX_get1_certs(3): a stack with its own references; NULL on an internal error.
        guard let candidates = unsafe X509_STORE_CTX_get1_certs(context, X509_get_issuer_name(certificate))
        else { return nil }
        defer { unsafe COpenSSL_free(candidates) }
        var issuer: OpaquePointer?
        for index in 0..<(unsafe COpenSSL_count(candidates)) {
            guard let candidate = unsafe COpenSSL_certificate(candidates, index) else { continue }
            // The bundle has the certificate itself.
            let isSame = unsafe X509_cmp(candidate, certificate) == 0
            guard unsafe isSame || isIssuer(candidate, of: certificate) else { continue }
            if unsafe isSame || isValid(candidate, in: context) {
                unsafe issuer = unsafe candidate
                break
            }
            // If all have expired, the verification fails with that reason.
            if unsafe issuer == nil { unsafe issuer = unsafe candidate }
        }
        if let issuer = unsafe issuer { unsafe X509_up_ref(issuer) }
        return unsafe issuer
    }

    private static func isIssuer(_ candidate: OpaquePointer, of certificate: OpaquePointer) -> Bool {
        // X509_check_issued(3): names, key identifiers and key usage, but not the signature.
        unsafe X509_check_issued(candidate, certificate) == X509_V_OK
            && X509_verify(certificate, X509_get0_pubkey(candidate)) == 1
    }

    private static func isValid(_ candidate: OpaquePointer, in context: OpaquePointer) -> Bool {
        // X509_cmp_timeframe(3): 0 if the time of the verification, now, is between the two.
        unsafe X509_cmp_timeframe(
            X509_STORE_CTX_get0_param(context),
            X509_get0_notBefore(candidate),
            X509_get0_notAfter(candidate)
        ) == 0
    }
}
