// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

// libcurl, and inline functions for what Swift cannot call: curl_easy_setopt and curl_multi_setopt take a variadic
// argument whose type depends on the option. There is one function for each type that is used here.

#ifndef CCURL_SHIM_H
#define CCURL_SHIM_H

// First: in some builds sys/select.h is read before the macros that it needs are defined.
#include <features.h>

#include <curl/curl.h>

/// curl_easy_setopt for options that take a long.
static inline CURLcode CCurl_setopt_long(CURL *handle, CURLoption option, long value) {
    return curl_easy_setopt(handle, option, value);
}

/// curl_easy_setopt for options that take a string, which libcurl copies; NULL resets the option.
static inline CURLcode CCurl_setopt_string(CURL *handle, CURLoption option, const char *value) {
    return curl_easy_setopt(handle, option, value);
}

/// curl_easy_setopt for options that take a pointer, which libcurl passes on to callbacks.
static inline CURLcode CCurl_setopt_pointer(CURL *handle, CURLoption option, void *value) {
    return curl_easy_setopt(handle, option, value);
}

/// curl_easy_setopt for options that take a list of strings, which must outlive the transfer.
static inline CURLcode CCurl_setopt_list(CURL *handle, CURLoption option, struct curl_slist *value) {
    return curl_easy_setopt(handle, option, value);
}

/// curl_easy_setopt for options that take a blob; the bytes are copied.
static inline CURLcode CCurl_setopt_blob(CURL *handle, CURLoption option, const void *bytes, size_t count) {
    struct curl_blob blob = {.data = (void *)bytes, .len = count, .flags = CURL_BLOB_COPY};
    return curl_easy_setopt(handle, option, &blob);
}

/// CURLOPT_COPYPOSTFIELDS after CURLOPT_POSTFIELDSIZE_LARGE: the body, which may hold any bytes and is copied.
static inline CURLcode CCurl_setopt_body(CURL *handle, const void *bytes, size_t count) {
    CURLcode code = curl_easy_setopt(handle, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)count);
    return code != CURLE_OK ? code : curl_easy_setopt(handle, CURLOPT_COPYPOSTFIELDS, count == 0 ? "" : bytes);
}

/// A callback for data: bytes, always 1, their number, and the pointer that was set for it.
typedef size_t (*CCurl_data_callback)(char *bytes, size_t size, size_t count, void *context);

/// curl_easy_setopt for CURLOPT_WRITEFUNCTION and CURLOPT_HEADERFUNCTION.
static inline CURLcode CCurl_setopt_callback(CURL *handle, CURLoption option, CCurl_data_callback value) {
    return curl_easy_setopt(handle, option, value);
}

/// CURLOPT_SOCKOPTFUNCTION
static inline CURLcode CCurl_setopt_socket_options_callback(CURL *handle, curl_sockopt_callback value) {
    return curl_easy_setopt(handle, CURLOPT_SOCKOPTFUNCTION, value);
}

/// CURLOPT_SSL_CTX_FUNCTION
static inline CURLcode CCurl_setopt_ssl_context_callback(CURL *handle, curl_ssl_ctx_callback value) {
    return curl_easy_setopt(handle, CURLOPT_SSL_CTX_FUNCTION, value);
}

/// curl_easy_getinfo for information that is a long.
static inline CURLcode CCurl_getinfo_long(CURL *handle, CURLINFO info, long *value) {
    return curl_easy_getinfo(handle, info, value);
}

/// curl_multi_setopt for options that take a long.
static inline CURLMcode CCurl_multi_setopt_long(CURLM *handle, CURLMoption option, long value) {
    return curl_multi_setopt(handle, option, value);
}

/// The result of a finished transfer, which is in a union.
static inline CURLcode CCurl_message_result(const CURLMsg *message) {
    return message->data.result;
}

/// CURL_GLOBAL_ALL: a macro over macros.
static inline CURLcode CCurl_global_init(void) {
    return curl_global_init(CURL_GLOBAL_ALL);
}

/// CURL_WRITEFUNC_PAUSE: a macro with a suffix that depends on the platform.
static inline size_t CCurl_writefunc_pause(void) {
    return CURL_WRITEFUNC_PAUSE;
}

#endif
