// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Synchronization

/// A request and its response, shared by the task that waits for the response and the loop's thread that receives it.
///
/// The thread adds what arrives; the task takes it, first the head, then the body. One task at a time.
final class Transfer: Sendable {
    /// Status and headers.
    struct Head: Sendable {
        var status: Int
        /// The header lines, each with its line end.
        var lines: [UInt8] = []
    }

    private struct State {
        var head: Head?
        var chunks: [[UInt8]] = []
        var bufferedBytes = 0
        /// libcurl holds the rest of the body back until the reader has caught up.
        var isPaused = false
        var idleTimeout: Duration?
        var end: Result<Void, HTTPError>?
        var headWaiter: CheckedContinuation<Result<Head, HTTPError>, Never>?
        var chunkWaiter: CheckedContinuation<Result<[UInt8]?, HTTPError>, Never>?
    }

    /// Below the size from which malloc maps memory for each allocation and unmaps it again.
    private static let largestJoinedChunk = 48 << 10

    let request: HTTPRequest
    private let loop: CurlEventLoop
    /// No other lock is taken while this one is held.
    private let state: Mutex<State>

    init(request: HTTPRequest, loop: CurlEventLoop) {
        self.request = request
        self.loop = loop
        self.state = Mutex(State(idleTimeout: request.timeouts.idle))
    }

    /// How long the server may be silent; initially ``HTTPRequest/Timeouts/idle``.
    var idleTimeout: Duration? {
        get { state.withLock { $0.idleTimeout } }
        set { state.withLock { $0.idleTimeout = newValue } }
    }

    /// Whether ``complete(_:)`` was called.
    var hasEnded: Bool {
        state.withLock { $0.end != nil }
    }

    /// How many bytes of the body have arrived and are not read.
    var bufferedBytes: Int {
        state.withLock { $0.bufferedBytes }
    }

    /// Ends the transfer with Code.cancelled unless it has ended.
    func cancel() {
        if !hasEnded { loop.send(.cancel(self)) }
    }

    private var missingHead: HTTPError {
        HTTPError(code: .transport, message: "\(request): the response has no head")
    }
}

// MARK: Used by tasks

extension Transfer {
    /// Starts the transfer. Returns its head: of a buffered response when the body is complete.
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

    /// Waits for the next bytes of the body. Returns nil at its end.
    func nextChunk() async throws(HTTPError) -> [UInt8]? {
        // The short way, when neither a pause nor the transfer has to be ended.
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

    /// What the reader gets; nil while it has to wait.
    private static func takeChunk(_ state: inout State) -> Result<[UInt8]?, HTTPError>? {
        guard var chunk = state.chunks.first else { return state.end.map { end in end.map { nil } } }
        // Small chunks are joined: a reader that is behind has less to do for each byte.
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

// MARK: Used by the loop's thread

extension Transfer {
    func receive(_ head: Head) {
        state.withLock { $0.head = head }
    }

    enum Reception: Sendable {
        case taken
        /// Not taken, because the reader is behind: to be offered again after a resume.
        case paused
        /// Not taken, because a buffered body has reached its limit.
        case overflowed
    }

    /// Takes more of the body.
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

    /// Whether libcurl waits for the reader.
    var isPaused: Bool {
        state.withLock { $0.isPaused }
    }

    /// Ends the transfer and wakes the task. Does nothing to a transfer that has ended.
    func complete(_ end: Result<Void, HTTPError>) {
        state.withLock { state in
            if state.end == nil { state.end = end }
        }
        wake()
    }

    /// Resumes the task if what it waits for has arrived.
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
        case (nil, let end?, _): end.flatMap { .failure(missingHead) }
        case (nil, nil, _), (_?, nil, .buffered): nil
        }
    }
}
