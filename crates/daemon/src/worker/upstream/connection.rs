//! One connection to an upstream: what is open on it, from before it is dialled until it is closed.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

use resolver::action::{AttemptFailure, AttemptId, SendQuery};
use tokio::sync::Notify;
use wire::frame;

use crate::clock;

/// Nothing heard for so long while a question is open: the connection may lead nowhere.
const SILENCE: Duration = Duration::from_secs(1);

/// No question is waited for longer, whoever forgot to say that it is over: above the longest life of an attempt.
const OWED: Duration = Duration::from_secs(10);

/// How long a connection may take and be used.
#[derive(Clone, Copy)]
pub(super) struct Terms {
    /// When dialling ends without success, handshake included.
    pub(super) dial_until: Instant,
    /// When it takes no more questions.
    pub(super) retire_at: Instant,
    /// How long it is kept without a question.
    pub(super) idle: Duration,
}

/// The questions of a connection, those that wait for it to be dialled included.
pub(super) struct Connection {
    pub(super) terms: Terms,
    pub(super) unsent: RefCell<Vec<u8>>,
    pub(super) changed: Notify,
    questions: RefCell<VecDeque<Question>>,
    opened: Instant,
    dialling: Cell<bool>,
    used: Cell<Instant>,
    heard: Cell<Instant>,
    has_answered: Cell<bool>,
    /// Something that answers nothing has come, and no answer since.
    out_of_step: Cell<bool>,
    retired: Cell<bool>,
    closing: Cell<Option<AttemptFailure>>,
    /// Whose message is being handed on.
    delivering: Cell<Option<AttemptId>>,
}

/// A question on its way.
#[derive(Clone, Copy)]
pub(super) struct Question {
    id: u16,
    pub(super) since: Instant,
    /// It went to a connection of its own because another one was doubted.
    pub(super) fresh: bool,
    /// Nothing once it is forgotten; its answer may still come and must find its ID.
    attempt: Option<AttemptId>,
    /// Something else came under its ID.
    doubted: bool,
}

/// What became of a message.
pub(super) enum Delivery {
    /// It answered this question.
    Answered(AttemptId, Question),
    /// Nobody waits for it, or who does will not take it for an answer.
    Unwanted,
    /// Nothing here was asked under its ID. It was meant for the oldest question, if the upstream answers one after
    /// another as CoreDNS does; nothing when all that wait have had such a message.
    Stray(Option<AttemptId>),
    /// It is no message: what follows on the stream cannot be trusted to be one.
    Malformed,
}

impl Connection {
    pub(super) fn new(now: Instant, terms: Terms) -> Self {
        Self {
            terms,
            unsent: RefCell::default(),
            changed: Notify::new(),
            questions: RefCell::default(),
            opened: now,
            dialling: Cell::new(true),
            used: Cell::new(now),
            heard: Cell::new(now),
            has_answered: Cell::new(false),
            out_of_step: Cell::new(false),
            retired: Cell::new(false),
            closing: Cell::new(None),
            delivering: Cell::new(None),
        }
    }

    /// Puts a question on its way.
    pub(super) fn send(&self, now: Instant, ask: &SendQuery, message: &[u8]) {
        let Some(header) = wire::header::Header::read(message) else { return };
        frame::push(message, &mut self.unsent.borrow_mut());
        let (attempt, fresh) = (Some(ask.attempt), ask.fresh);
        let question = Question { id: header.id, since: now, fresh, attempt, doubted: false };
        self.questions.borrow_mut().push_back(question);
        self.used.set(now);
        self.changed.notify_one();
    }

    /// The connection stands.
    pub(super) fn established(&self) {
        self.dialling.set(false);
        self.heard.set(clock::now());
    }

    pub(super) fn is_dialling(&self) -> bool {
        self.dialling.get()
    }

    /// Dialled less than `limit` ago, and nothing has been carried yet.
    pub(super) fn is_younger_than(&self, limit: Duration, now: Instant) -> bool {
        self.dialling.get() && now.saturating_duration_since(self.opened) < limit
    }

    pub(super) fn takes_questions(&self, now: Instant) -> bool {
        self.closing.get().is_none() && !self.retired.get() && now < self.terms.retire_at
    }

    pub(super) fn open_questions(&self) -> usize {
        self.questions.borrow().len()
    }

    /// The oldest question has been open longer than `limit`.
    pub(super) fn waits_longer_than(&self, limit: Duration, now: Instant) -> bool {
        self.oldest().is_some_and(|oldest| now.saturating_duration_since(oldest) > limit)
    }

    /// Since when nothing has been heard although something was asked, if that is long.
    pub(super) fn silent_since(&self, now: Instant) -> Option<Instant> {
        let since = self.oldest()?.max(self.heard.get());
        (now.saturating_duration_since(since) > SILENCE).then_some(since)
    }

    /// A question that was asked elsewhere at `asked` has its answer, and at that time this connection had been silent
    /// for longer than `limit`: it is used no more.
    pub(super) fn overtaken(&self, asked: Instant, limit: Duration) {
        let silent = self.oldest().map(|oldest| oldest.max(self.heard.get()));
        if silent.is_some_and(|since| since + limit < asked) {
            self.retire();
        }
    }

    fn oldest(&self) -> Option<Instant> {
        self.questions.borrow().front().map(|oldest| oldest.since)
    }

    pub(super) fn carries(&self, attempt: AttemptId) -> bool {
        self.questions.borrow().iter().any(|question| question.attempt == Some(attempt))
    }

    /// Nobody wants this answer any more. The connection was too slow for it and may never give it: it takes no more
    /// questions, and what it still owes is not mistaken for the answer to another one.
    pub(super) fn forget(&self, attempt: AttemptId) {
        if self.delivering.get() == Some(attempt) {
            return self.settle(|question| question.attempt == Some(attempt));
        }
        if self.is_doubted(attempt) && self.out_of_step.get() {
            self.leave();
        }
        if self.mark(attempt, |question| question.attempt = None) {
            self.retire();
        }
    }

    /// The stream is not in step again by the time that was given to it, so that nothing on it can be told from the
    /// rest of something else: those who have heard nothing yet ask again elsewhere.
    fn leave(&self) {
        for question in self.questions.borrow_mut().iter_mut().filter(|question| question.doubted) {
            // Whoever doubts it ends it.
            question.attempt = None;
        }
        self.close(AttemptFailure::Closed { reused: true });
    }

    /// What came for this attempt was something else: the upstream is out of step. Those who wait may have their
    /// answers; nobody else is sent here.
    pub(super) fn distrust(&self, attempt: AttemptId) {
        if self.mark(attempt, |question| question.doubted = true) {
            self.out_of_step.set(true);
            self.retire();
        }
    }

    fn is_doubted(&self, attempt: AttemptId) -> bool {
        self.questions.borrow().iter().any(|one| one.attempt == Some(attempt) && one.doubted)
    }

    fn mark(&self, attempt: AttemptId, mark: impl FnOnce(&mut Question)) -> bool {
        let mut questions = self.questions.borrow_mut();
        questions.iter_mut().find(|question| question.attempt == Some(attempt)).map(mark).is_some()
    }

    /// Takes no more questions, and ends when nobody waits for an answer.
    pub(super) fn retire(&self) {
        self.retired.set(true);
        self.close_if_unwanted();
    }

    fn close_if_unwanted(&self) {
        let wanted = self.questions.borrow().iter().any(|question| question.attempt.is_some());
        if self.retired.get() && !wanted {
            self.close(self.end());
        }
    }

    /// Ends the connection; those who still wait are told `failure`.
    pub(super) fn close(&self, failure: AttemptFailure) {
        self.closing.set(self.closing.get().or(Some(failure)));
        self.changed.notify_one();
    }

    /// Waits until the connection is to end.
    pub(super) async fn ended(&self) -> AttemptFailure {
        loop {
            if let Some(end) = self.closing.get() {
                return end;
            }
            self.changed.notified().await;
        }
    }

    /// Why the connection is to end, if it is.
    pub(super) fn ending(&self, now: Instant) -> Option<AttemptFailure> {
        let due = || {
            (now >= self.rests_until())
                .then(|| if self.has_no_question() { self.end() } else { AttemptFailure::TimedOut })
        };
        self.closing.get().or_else(due)
    }

    /// How those who wait hear that the upstream has closed the connection.
    pub(super) fn end(&self) -> AttemptFailure {
        AttemptFailure::Closed { reused: self.has_answered.get() }
    }

    /// The attempts that were open when the connection ended.
    pub(super) fn abandon(&self) -> Vec<AttemptId> {
        self.close(AttemptFailure::TimedOut);
        self.questions.borrow_mut().drain(..).filter_map(|question| question.attempt).collect()
    }

    /// Finds the question of a message by its ID, and hands the message to `carry` if somebody waits for it.
    pub(super) fn deliver(&self, message: &[u8], carry: impl FnOnce(AttemptId)) -> Delivery {
        self.heard.set(clock::now());
        let Some(header) = wire::header::Header::read(message) else { return Delivery::Malformed };
        let asked = self.questions.borrow().iter().find(|one| one.id == header.id).copied();
        let Some(asked) = asked else {
            self.retire();
            return Delivery::Stray(self.oldest_undoubted());
        };
        let Some(attempt) = asked.attempt else {
            self.settle(|question| question.id == asked.id && question.attempt.is_none());
            return Delivery::Unwanted;
        };
        self.delivering.set(Some(attempt));
        carry(attempt);
        self.delivering.set(None);
        if self.is_doubted(attempt) {
            return Delivery::Unwanted;
        }
        self.has_answered.set(true);
        self.out_of_step.set(false);
        self.settle(|question| question.attempt == Some(attempt));
        Delivery::Answered(attempt, asked)
    }

    fn oldest_undoubted(&self) -> Option<AttemptId> {
        let questions = self.questions.borrow();
        questions.iter().filter(|question| !question.doubted).find_map(|question| question.attempt)
    }

    /// Takes a question off the list.
    fn settle(&self, is_it: impl Fn(&Question) -> bool) {
        let place = self.questions.borrow().iter().position(is_it);
        if let Some(place) = place {
            self.questions.borrow_mut().remove(place);
        }
        self.used.set(clock::now());
        self.close_if_unwanted();
    }

    pub(super) fn has_no_question(&self) -> bool {
        self.questions.borrow().is_empty()
    }

    /// When the connection ends if nothing happens: it has been idle for long, or silent beyond what anybody waits.
    pub(super) fn rests_until(&self) -> Instant {
        match self.oldest() {
            Some(oldest) => oldest + OWED,
            None => (self.used.get() + self.terms.idle).min(self.terms.retire_at).max(self.used.get()),
        }
    }
}
