// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

package struct HTTPRequest: Sendable, CustomStringConvertible {
    /// nil is no limit.
    package struct Timeouts: Sendable, Hashable {
        /// Without a byte from the server. Time in which the server waits for the reader does not count.
        package var idle: Duration?
        /// From the start of the request to the last byte of the body.
        package var total: Duration?

        package init(idle: Duration? = nil, total: Duration? = nil) {
            self.idle = idle
            self.total = total
        }
    }

    /// When ``HTTPClient/execute(_:)`` returns.
    package enum Delivery: Sendable, Hashable {
        /// When the whole body is in memory. More than 16 MiB fail with Code.bodyTooLarge.
        case buffered
        /// When the head has arrived. The server has to wait for the reader of the body.
        case streamed
    }

    package var method: String
    /// An absolute URL, `http` or `https`.
    package var url: String
    /// Sent beside those that HTTP requires.
    package var headers: HTTPHeaders
    /// nil sends no body.
    package var body: [UInt8]?
    package var delivery: Delivery
    package var timeouts: Timeouts

    package init(
        method: String = "GET",
        url: String,
        headers: HTTPHeaders = [:],
        body: [UInt8]? = nil,
        delivery: Delivery = .buffered,
        timeouts: Timeouts = Timeouts()
    ) {
        self.method = method
        self.url = url
        self.headers = headers
        self.body = body
        self.delivery = delivery
        self.timeouts = timeouts
    }

    /// The method and the URL without what may be secret: user and query. No headers, no body.
    package var description: String { "\(method) \(location)" }

    /// The URL without user and query.
    var location: String {
        URLAuthority.withoutUserInfo(String(url.prefix { $0 != "?" && $0 != "#" }))
    }
}
