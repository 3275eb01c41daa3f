//! A round of the crawl, run by run: list the folders, fetch what is new, publish it, and come back to what went wrong.
//! Each run does a bounded piece of that and is a transaction; the next one goes on from state alone.

use crate::kept::{self, PLAN, Planned, ROUND, Round};
use crate::outside::Outside;
use crate::settings::Settings;
use crate::trouble::{Trouble, in_words};

/// Requests of a run: many small archives share a commit, and no run becomes long.
const MOST_REQUESTS: usize = 16;
/// After so many bytes a run fetches nothing more: a decade's pieces (8 MB) are then a commit of their own.
const ENOUGH_BYTES: usize = 1 << 20;
/// A plan older than this is made anew between two archives, so that a long backlog does not keep `now/` waiting.
const STALE_MS: i64 = 600_000;
/// A run that broke off so often has something to fetch that it does not survive, and sets it aside.
const BREAKS: u32 = 2;
/// The rest after a round that ended in trouble; it doubles with each, up to the longest.
const FIRST_REST_MS: i64 = 5_000;
const LONGEST_REST_MS: i64 = 600_000;
/// With the host's backoff between attempts, which doubles, the longest that attempts are waited for: several minutes.
const MOST_ATTEMPTS_OF_REST: u32 = 10;

/// The run that is due.
#[derive(Clone, Copy, Debug)]
pub struct Due {
    /// When, in milliseconds since the Unix epoch.
    pub ms: i64,
    /// 1 for the first try.
    pub attempt: u32,
}

/// How to go on after a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Everything that the server has is published.
    Done,
    /// There is more, after so many milliseconds.
    Again(u32),
}

/// Does a bounded piece of work.
///
/// # Errors
/// What is left to be tried again, or what the host refused. Nothing that such a run did is kept.
pub async fn run(due: Due, settings: &Settings, outside: &mut impl Outside) -> Result<Next, String> {
    let mut run = Run::resume(due, settings, outside)?;
    let next = run.work().await?;
    run.save(next)?;
    Ok(next)
}

/// What one run may still do.
#[derive(Debug, Default)]
pub(crate) struct Spent {
    pub(crate) requests: usize,
    pub(crate) bytes: usize,
    pub(crate) rows: usize,
    /// A request failed: it may have taken long, so that the run had better end.
    pub(crate) failed: bool,
}

pub(crate) struct Run<'a, O> {
    pub(crate) due: Due,
    pub(crate) settings: &'a Settings,
    pub(crate) outside: &'a mut O,
    pub(crate) round: Round,
    pub(crate) spent: Spent,
    /// Read when it is needed.
    plan: Option<Vec<Planned>>,
    plan_changed: bool,
}

impl<'a, O: Outside> Run<'a, O> {
    fn resume(due: Due, settings: &'a Settings, outside: &'a mut O) -> Result<Self, String> {
        let round = kept::load::<Round>(outside, ROUND);
        let mut run = Run {
            due,
            settings,
            outside,
            round: Round::default(),
            spent: Spent::default(),
            plan: None,
            plan_changed: false,
        };
        match round {
            Some(round) if round.selection == settings.selection() => run.round = round,
            Some(round) => {
                run.round = round;
                run.drop_pieces();
                run.begin(0);
            }
            None => run.begin(0),
        }
        let mut waited_for = 0;
        if let Some(since) = run.round.troubled_ms {
            waited_for = run.attempts_of_rest(since);
            if due.attempt <= waited_for {
                return Err(run.round.troubles.to_string());
            }
            run.begin(run.round.failures);
        }
        if due.attempt.saturating_sub(waited_for) > BREAKS && run.round.draining.is_none() {
            run.set_aside();
        }
        Ok(run)
    }

    /// Begins a round by listing every folder.
    fn begin(&mut self, failures: u32) {
        let selection = self.settings.selection();
        let to_list = self.settings.products.clone();
        self.round = Round { selection, to_list, failures, ..Round::default() };
        self.plan = Some(Vec::new());
        self.plan_changed = true;
    }

    /// How many attempts tell the trouble and do nothing else, so that the host waits between them: the more rounds
    /// ended in trouble, the more, and none when time has passed since.
    fn attempts_of_rest(&self, since: i64) -> u32 {
        let failures = self.round.failures.max(1);
        let rest = FIRST_REST_MS.saturating_mul(1 << (failures - 1).min(16)).min(LONGEST_REST_MS);
        if self.due.ms - since >= rest { 0 } else { failures.min(MOST_ATTEMPTS_OF_REST) }
    }

    /// The last attempts broke off, by a timeout or a trap: what would be fetched next is tried in another round.
    fn set_aside(&mut self) {
        let what = match self.round.to_list.first() {
            Some(&product) => self.settings.folder(product),
            None => match self.planned() {
                Some(planned) => planned.file,
                None => return,
            },
        };
        if self.round.to_list.is_empty() {
            self.round.next += 1;
        } else {
            self.round.to_list.remove(0);
        }
        self.trouble(&Trouble::BrokeOff { what, attempts: BREAKS });
    }

    async fn work(&mut self) -> Result<Next, String> {
        loop {
            if self.round.draining.is_some() {
                if let Some(pause_ms) = self.publish()? {
                    return Ok(Next::Again(pause_ms));
                }
            } else if self.is_finished() || self.is_stale() {
                return self.end();
            } else if !self.may_fetch() {
                return Ok(Next::Again(0));
            } else if let Some(&product) = self.round.to_list.first() {
                self.round.to_list.remove(0);
                self.list(product).await?;
            } else if let Some(planned) = self.planned() {
                self.round.next += 1;
                self.fetch(planned).await?;
            } else {
                // The plan is shorter than the round says: it was lost, and listing makes it anew.
                self.begin(self.round.failures);
            }
        }
    }

    fn may_fetch(&self) -> bool {
        !self.spent.failed && self.spent.requests < MOST_REQUESTS && self.spent.bytes < ENOUGH_BYTES
    }

    fn is_finished(&self) -> bool {
        self.round.to_list.is_empty() && self.round.next >= self.round.planned
    }

    fn is_stale(&self) -> bool {
        self.round.to_list.is_empty() && self.due.ms - self.round.listed_ms >= STALE_MS
    }

    /// Nothing is left of this round, or the rest is to be planned anew.
    fn end(&mut self) -> Result<Next, String> {
        let finished = self.is_finished();
        if self.round.troubles.is_empty() && finished {
            self.summary();
            return Ok(Next::Done);
        }
        if self.round.troubles.is_empty() {
            self.begin(0);
            return Ok(Next::Again(0));
        }
        // The trouble is told by a run that fails, and a run that fails keeps nothing: so first this is kept, by a run
        // that waited for no server and so began just now.
        if self.spent.requests == 0 {
            self.round.troubled_ms = Some(self.due.ms);
            self.round.failures = self.round.failures.saturating_add(1);
        }
        Ok(Next::Again(0))
    }

    fn summary(&mut self) {
        let tally = self.round.tally;
        if tally.archives > 0 {
            let (archives, rows, bad) = (tally.archives, tally.rows, tally.bad_lines);
            self.outside.say(&format!("drained: {archives} archives, {rows} readings published, {bad} bad lines"));
        }
    }

    /// Notes a trouble for the end of the round and tells it at once.
    pub(crate) fn trouble(&mut self, trouble: &Trouble) {
        let words = in_words(trouble);
        self.outside.say(&words);
        self.round.troubles.add(&words);
    }

    /// The archive that the plan has next.
    fn planned(&mut self) -> Option<Planned> {
        let next = self.round.next;
        self.plan_mut().get(next).cloned()
    }

    /// The plan, to which a listing adds.
    pub(crate) fn plan_mut(&mut self) -> &mut Vec<Planned> {
        let outside = &mut *self.outside;
        self.plan.get_or_insert_with(|| kept::load(outside, PLAN).unwrap_or_default())
    }

    pub(crate) fn add_to_plan(&mut self, planned: Vec<Planned>) {
        self.plan_mut().extend(planned);
        self.round.planned = self.plan_mut().len();
        self.plan_changed = true;
    }

    fn drop_pieces(&mut self) {
        if let Some(draining) = self.round.draining.take() {
            for piece in draining.piece..draining.pieces {
                kept::write(self.outside, &kept::piece_key(piece), None);
            }
        }
    }

    fn save(&mut self, next: Next) -> Result<(), String> {
        if next == Next::Done {
            kept::write(self.outside, ROUND, None);
            kept::write(self.outside, PLAN, None);
            return Ok(());
        }
        if let Some(plan) = self.plan.as_ref().filter(|_| self.plan_changed) {
            kept::store(self.outside, PLAN, plan)?;
        }
        kept::store(self.outside, ROUND, &self.round)
    }
}

#[cfg(test)]
mod tests;
