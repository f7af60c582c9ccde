// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import CCurl

/// A URL whose server is found by its host and verified under another name.
///
/// libcurl asks TLS for the host of its URL, so that the name takes its place there, CURLOPT_CONNECT_TO leads to the
/// host, and the `Host` header has it as if nothing were renamed.
struct RenamedServer {
    /// The URL with the name in it.
    let url: String
    /// An entry for CURLOPT_CONNECT_TO(3): any host and port, the host, the URL's port.
    let connectTo: String
    /// Host and port, as they stood in the URL.
    let host: String

    /// - Returns: nil when the URL is none, or when the name is none that a URL can have.
    init?(_ url: String, name: String) {
        guard let handle = unsafe curl_url() else { return nil }
        defer { unsafe curl_url_cleanup(handle) }
        /// curl_url_get(3): the text is the caller's to free.
        func part(_ part: CURLUPart) -> String? {
            var text: UnsafeMutablePointer<CChar>?
            guard unsafe curl_url_get(handle, part, &text, 0) == CURLUE_OK, let text = unsafe text else { return nil }
            defer { unsafe curl_free(text) }
            return unsafe String(cString: text)
        }
        guard
            unsafe curl_url_set(handle, CURLUPART_URL, url, 0) == CURLUE_OK,
            let host = part(CURLUPART_HOST),
            unsafe curl_url_set(handle, CURLUPART_HOST, name, 0) == CURLUE_OK,
            let renamed = part(CURLUPART_URL)
        else { return nil }
        self.url = renamed
        connectTo = "::\(host):"
        self.host = part(CURLUPART_PORT).map { "\(host):\($0)" } ?? host
    }
}
