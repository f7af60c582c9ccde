// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import NIOHTTP1
import Synchronization

/// Pages for people and scripts by the path under which they are served. All functions may be called concurrently.
package final class Pages: Sendable {
    /// Returns a page for a request. It must not block, and bounds the size of what it returns.
    package typealias Content = @Sendable () -> String

    /// The type of a page. All are UTF-8.
    package enum ContentType: Sendable {
        /// HTML without scripts: browsers are instructed to run none, to load nothing, and to send no form. It may have
        /// `style` elements.
        case html
        case json
        case plainText
    }

    struct Page: Sendable {
        var contentType: ContentType
        var content: Content
    }

    private let pages = Mutex<[String: Page]>([:])

    package init() {}

    /// Serves a page under `path`, unless metrics or a health check are served there. A path may be registered once.
    package func register(path: String, _ contentType: ContentType, _ content: @escaping Content) {
        let page = Page(contentType: contentType, content: content)
        let previous = pages.withLock { $0.updateValue(page, forKey: path) }
        precondition(previous == nil, "duplicate page \(path)")
    }

    /// The registered paths in no particular order.
    package var paths: [String] { pages.withLock { Array($0.keys) } }

    func page(at path: String) -> Page? { pages.withLock { $0[path] } }
}

extension Response {
    /// A page as it is now.
    init(_ page: Pages.Page) {
        self.init(
            status: .ok,
            contentType: page.contentType.mediaType,
            body: page.content(),
            additionalHeaders: [("Cache-Control", "no-store")] + page.contentType.headers
        )
    }
}

extension Pages.ContentType {
    fileprivate var mediaType: String {
        switch self {
        case .html: "text/html; charset=utf-8"
        case .json: "application/json"
        case .plainText: "text/plain; charset=utf-8"
        }
    }

    /// https://www.w3.org/TR/CSP3/. The second line of defence: the page itself escapes every text.
    fileprivate var headers: [(String, String)] {
        guard self == .html else { return [] }
        let policy = [
            "default-src 'none'", "style-src 'unsafe-inline'", "base-uri 'none'", "form-action 'none'",
            "frame-ancestors 'none'",
        ]
        return [("Content-Security-Policy", policy.joined(separator: "; ")), ("Referrer-Policy", "no-referrer")]
    }
}
