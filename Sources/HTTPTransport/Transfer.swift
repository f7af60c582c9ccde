// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Synchronization

/// One request and its response, between the tasks that wait for it and the loop's thread that carries it out.
///
/// The loop's thread puts in what arrives; tasks take it out, the head first, then the body. Every wait is ended once, by
/// ``wake()``: waking a task costs more than what arrives in one go.
final class Transfer: Sendable {
    /// Status and headers.
    struct Head: Sendable {
        var status: Int
        /// The lines of the headers, each with its end.
        var lines: [UInt8] = []
    }

    private struct State {
        var head: Head?
        var chunks: [[UInt8]] = []
        var bufferedBytes = 0
        /// The loop's thread was reported to wait until the reader has caught up.
        var isPaused = false
        var idleTimeout: Duration?
        var end: Result<Void, HTTPError>?
        var headWaiter: CheckedContinuation<Result<Head, HTTPError>, Never>?
        var chunkWaiter: CheckedContinuation<Result<[UInt8]?, HTTPError>, Never>?
    }

    /// Below what malloc takes from the system, and gives back, each time.
    private static let largestJoinedChunk = 48 << 10

    let request: HTTPRequest
    private let loop: CurlEventLoop
    private let state: Mutex<State>

    init(request: HTTPRequest, loop: CurlEventLoop) {
        self.request = request
        self.loop = loop
        self.state = Mutex(State(idleTimeout: request.timeouts.idle))
    }

    /// How long the server may be silent: as the request says, unless it was changed.
    var idleTimeout: Duration? {
        get { state.withLock { $0.idleTimeout } }
        set { state.withLock { $0.idleTimeout = newValue } }
    }

    /// Whether ``complete(_:)`` was called.
    var hasEnded: Bool {
        state.withLock { $0.end != nil }
    }

    /// Gives up what is not over yet.
    func cancel() {
        if !hasEnded { loop.send(.cancel(self)) }
    }

    private var headless: HTTPError {
        HTTPError(code: .transport, message: "\(request): the response has no head")
    }
}

// MARK: For tasks

extension Transfer {
    /// Starts the transfer and waits for its head.
    func start() async throws(HTTPError) -> Head {
        let result = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let hasEnded = state.withLock { state in
                    state.headWaiter = continuation
                    return state.end != nil
                }
                if hasEnded { wake() } else { loop.send(.start(self)) }
            }
        } onCancel: {
            cancel()
        }
        return try result.get()
    }

    /// The next bytes of the body, nil at its end.
    func nextChunk() async throws(HTTPError) -> [UInt8]? {
        // What waits is taken at once, unless somebody has to be reported that a pause or the interest is over.
        if !Task.isCancelled, let chunk = state.withLock({ $0.isPaused ? nil : Self.takeChunk(&$0) }) {
            return try chunk.get()
        }
        let result = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let (chunk, resumes) = state.withLock { state in
                    let chunk = Self.takeChunk(&state)
                    if chunk == nil { state.chunkWaiter = continuation }
                    let resumes = state.isPaused && state.bufferedBytes == 0
                    if resumes { state.isPaused = false }
                    return (chunk, resumes)
                }
                if resumes { loop.send(.resume(self)) }
                if let chunk { continuation.resume(returning: chunk) }
            }
        } onCancel: {
            cancel()
        }
        return try result.get()
    }

    /// What a reader gets; nil while he has to wait.
    private static func takeChunk(_ state: inout State) -> Result<[UInt8]?, HTTPError>? {
        guard var chunk = state.chunks.first else { return state.end.map { end in end.map { nil } } }
        // What has piled up comes together: a reader that is late has less to do for each byte.
        var taken = 1
        while taken < state.chunks.count, chunk.count + state.chunks[taken].count <= largestJoinedChunk {
            chunk += state.chunks[taken]
            taken += 1
        }
        state.chunks.removeFirst(taken)
        state.bufferedBytes -= chunk.count
        return .success(chunk)
    }
}

// MARK: For the loop's thread

extension Transfer {
    /// The head is complete.
    func receive(_ head: Head) {
        state.withLock { $0.head = head }
    }

    /// What becomes of bytes that have arrived.
    enum Reception: Sendable {
        case taken
        /// Nobody reads: to be offered again after a resume.
        case paused
        /// Nobody reads, and this transfer cannot be paused.
        case overflowed
    }

    /// More of the body.
    func receive(_ chunk: [UInt8]) -> Reception {
        state.withLock { state in
            switch request.delivery {
            case .streamed where state.bufferedBytes >= HTTPBody.highWaterMark:
                state.isPaused = true
                return .paused
            case .buffered where state.bufferedBytes >= HTTPBody.bufferLimit:
                return .overflowed
            case .streamed, .buffered:
                state.chunks.append(chunk)
                state.bufferedBytes += chunk.count
                return .taken
            }
        }
    }

    /// Whether the reader has to catch up before more is received.
    var isPaused: Bool {
        state.withLock { $0.isPaused }
    }

    /// Nothing follows. Only the first end counts.
    func complete(_ end: Result<Void, HTTPError>) {
        state.withLock { state in
            if state.end == nil { state.end = end }
        }
        wake()
    }

    /// Whoever waits for something that is there now gets it. A buffered response is there when it is complete.
    func wake() {
        let resume: (() -> Void)? = state.withLock { state in
            if let waiter = state.headWaiter, let head = head(state) {
                state.headWaiter = nil
                return { waiter.resume(returning: head) }
            }
            if let waiter = state.chunkWaiter, let chunk = Self.takeChunk(&state) {
                state.chunkWaiter = nil
                return { waiter.resume(returning: chunk) }
            }
            return nil
        }
        resume?()
    }

    private func head(_ state: State) -> Result<Head, HTTPError>? {
        switch (state.head, state.end, request.delivery) {
        case (_, .failure(let error), .buffered): .failure(error)
        case (let head?, _, .streamed), (let head?, .success, .buffered): .success(head)
        case (nil, let end?, _): end.flatMap { .failure(headless) }
        case (nil, nil, _), (_?, nil, .buffered): nil
        }
    }
}
