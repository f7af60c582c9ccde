// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

// The libcrypto that libcurl loads certificates and keys with, and inline functions that read PEM as it does.

#ifndef COPENSSL_SHIM_H
#define COPENSSL_SHIM_H

// First: some builds define what sys/select.h needs only after it was read.
#include <features.h>

#include <limits.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

/// What is wrong with PEM text.
typedef enum {
    COpenSSL_usable,
    COpenSSL_no_certificate,
    COpenSSL_no_key,
    COpenSSL_mismatch,
} COpenSSL_result;

/// A password callback (pem_password_cb) without a password: an encrypted key cannot be read. Without a callback OpenSSL
/// asks at the terminal.
static inline int COpenSSL_no_password(char *buffer, int size, int is_writing, void *context) {
    return -1;
}

/// Whether text holds certificates, at least one, and no block that is broken.
static inline COpenSSL_result COpenSSL_check_certificates(const void *bytes, size_t count) {
    int certificates = 0;
    BIO *text = count > INT_MAX ? NULL : BIO_new_mem_buf(bytes, (int)count);
    // PEM_bytes_read_bio(3): NULL without any block, and for one that is broken.
    STACK_OF(X509_INFO) *infos = text ? PEM_X509_INFO_read_bio(text, NULL, COpenSSL_no_password, NULL) : NULL;
    for (int i = 0; i < sk_X509_INFO_num(infos); i++) {
        if (sk_X509_INFO_value(infos, i)->x509) certificates++;
    }
    sk_X509_INFO_pop_free(infos, X509_INFO_free);
    BIO_free(text);
    // What stays in the thread's queue would be taken for a later call's error.
    ERR_clear_error();
    return certificates > 0 ? COpenSSL_usable : COpenSSL_no_certificate;
}

/// Whether the first certificate of one text and the first key of another belong together.
static inline COpenSSL_result COpenSSL_check_pair(
    const void *certificate_bytes, size_t certificate_count, const void *key_bytes, size_t key_count
) {
    COpenSSL_result result = COpenSSL_mismatch;
    BIO *certificate_text =
        certificate_count > INT_MAX ? NULL : BIO_new_mem_buf(certificate_bytes, (int)certificate_count);
    BIO *key_text = key_count > INT_MAX ? NULL : BIO_new_mem_buf(key_bytes, (int)key_count);
    X509 *certificate =
        certificate_text ? PEM_read_bio_X509(certificate_text, NULL, COpenSSL_no_password, NULL) : NULL;
    EVP_PKEY *key = key_text ? PEM_read_bio_PrivateKey(key_text, NULL, COpenSSL_no_password, NULL) : NULL;
    if (!certificate) {
        result = COpenSSL_no_certificate;
    } else if (!key) {
        result = COpenSSL_no_key;
    } else if (X509_check_private_key(certificate, key) == 1) {
        result = COpenSSL_usable;
    }
    EVP_PKEY_free(key);
    X509_free(certificate);
    BIO_free(key_text);
    BIO_free(certificate_text);
    ERR_clear_error();
    return result;
}

#endif
