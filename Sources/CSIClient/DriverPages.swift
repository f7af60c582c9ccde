// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import GRPCTransport

/// A driver's list, page by page; each page is asked for when it is wanted, and has the client's timeout to itself.
///
/// The pages are no snapshot: something may be missing or come twice. A list that ends without an error is complete.
/// When the driver answers ABORTED, its token has expired: the list starts over, once, and everything comes again.
///
/// To be iterated once. It throws the first failed call's ``CSIError``, or one with ``CSIError/Code/invalidResponse``
/// where the list would never end: when the driver gives the same `next_token` twice, or more pages than any list has
/// (``DriverPages/maximumPages``). Nothing comes after an error.
package struct DriverPages<Item: DriverReport>: AsyncSequence, Sendable {
    /// A page, or a part of one that is large; it may be empty.
    package typealias Element = [Item]
    /// What a call throws.
    package typealias Failure = CSIError

    /// A list of 100,000 volumes, one on each page, has an end.
    static var maximumPages: Int { 100_000 }

    let method: String
    /// How many pages the list may have.
    var limit = maximumPages
    /// Asks for the page that begins at a token; an empty one begins the list.
    let page: @Sendable (_ startingToken: String) async throws(CSIError) -> DriverPage<Item>
    /// What is handed on of a part of a page.
    let items: @Sendable (DriverPage<Item>.Part) -> [Item]

    /// A list of its own, from the first page.
    package func makeAsyncIterator() -> Iterator {
        Iterator(pages: self)
    }

    /// Asks for one page at a time.
    package struct Iterator: AsyncIteratorProtocol {
        private let pages: DriverPages
        /// What is left of the last page that came.
        private var page: DriverPage<Item>?
        /// The token of the page after it; nil when there is none.
        private var token: String? = ""
        /// By their hashes: a token may be long, and there may be many. Two tokens with one hash would end a list with an
        /// error, once in some billions of lists of a million pages.
        private var tokensSeen: Set<Int> = []
        private var mayStartOver = true

        init(pages: DriverPages) {
            self.pages = pages
        }

        /// The next page or part of one, nil after the last one and after an error.
        package mutating func next() async throws(CSIError) -> [Item]? {
            do {
                while true {
                    if let part = try page?.next() { return pages.items(part) }
                    guard let token else { return nil }
                    self.token = nil
                    let page = try await page(from: token)
                    if !page.nextToken.isEmpty { self.token = try unseen(page.nextToken) }
                    self.page = page
                }
            } catch {
                page = nil
                token = nil
                throw error
            }
        }

        private mutating func page(from token: String) async throws(CSIError) -> DriverPage<Item> {
            do {
                return try await pages.page(token)
            } catch  where error.code == .status(.aborted) && !token.isEmpty && mayStartOver {
                mayStartOver = false
                tokensSeen = []
                return try await pages.page("")
            }
        }

        private mutating func unseen(_ token: String) throws(CSIError) -> String {
            guard tokensSeen.insert(token.hashValue).inserted else {
                throw endless("the driver gave next_token \"\(excerpt(token))\" twice: its list would never end")
            }
            guard tokensSeen.count < pages.limit else {
                throw endless("the driver's list has no end after \(pages.limit) pages")
            }
            return token
        }

        private func endless(_ message: String) -> CSIError {
            CSIError(code: .invalidResponse, method: pages.method, message: message)
        }
    }
}
