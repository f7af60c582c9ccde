// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

// OpenSSL, the same that libcurl uses, and inline functions for what Swift cannot call: macros define the types of stacks.

#ifndef COPENSSL_SHIM_H
#define COPENSSL_SHIM_H

// First: in some builds sys/select.h is read before the macros that it needs are defined.
#include <features.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/sha.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

/// sk_X509_num
static inline int COpenSSL_count(const STACK_OF(X509) *certificates) {
    return sk_X509_num(certificates);
}

/// sk_X509_value: a borrowed reference.
static inline X509 *COpenSSL_certificate(const STACK_OF(X509) *certificates, int index) {
    return sk_X509_value(certificates, index);
}

/// sk_X509_pop_free: the stack and a reference to each of its certificates.
static inline void COpenSSL_free(STACK_OF(X509) *certificates) {
    sk_X509_pop_free(certificates, X509_free);
}

#endif
