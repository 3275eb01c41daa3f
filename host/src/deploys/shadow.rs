//! Shadows by deploy: a version that is to be compared first, then put in charge with its state, or dropped.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::{Ask, Decided, DeployError, Deploys, Taken, Way, entry, short};
use crate::embedded::TopicStatus;
use crate::embedded::mirrors::{Mirrors, discard, mirrored};
use crate::embedded::past::{Part, Span};
use crate::embedded::shadows::{Beginning, Extent, Shadow};
use crate::embedded::versions::Entry;
use crate::manifest::{Application, Function, Retention, TriggerSource};
use crate::registry::Version;
use crate::shadows::{Comparison, ShadowError};

/// What the audit log calls it when one is ended.
const DROP: &str = "shadow drop";
/// How long a copy of what a function has written may take: where its rows are elsewhere, it stands still meanwhile.
const LONGEST_COPY: Duration = Duration::from_secs(60);
/// Digits of the name of a shadow's folder.
const PLACE_DIGITS: usize = 12;

impl From<ShadowError> for DeployError {
    fn from(error: ShadowError) -> Self {
        match error {
            ShadowError::None(message) => DeployError::unknown(message, "`isobar deploy FUNCTION --shadow` begins one"),
            ShadowError::Behind { .. } => DeployError::refused(
                error.to_string(),
                "the version in charge goes on; try again when `isobar shadow show` says that less is to be compared",
            ),
            ShadowError::Store(error) => error.into(),
        }
    }
}

impl Deploys {
    /// Lets a version run in the shadow of the one in charge.
    ///
    /// # Errors
    /// [`DeployError`]; the audit log has it.
    pub async fn begin_shadow(&self, ask: Ask, course: Course, who: &str) -> Result<Taken, DeployError> {
        let _turn = self.turn.lock().await;
        let functions: Vec<String> = ask.components.keys().cloned().collect();
        self.as_allowed(who, &functions, course.action(), self.follow(ask, course, who)).await
    }

    async fn follow(&self, ask: Ask, course: Course, who: &str) -> Result<Taken, DeployError> {
        let replays = !matches!(course, Course::Beside);
        let [name] = ask.components.keys().cloned().collect::<Vec<_>>().try_into().map_err(|names: Vec<String>| {
            DeployError::refused(
                format!("{} functions were to run in a shadow at one time", names.len()),
                "name one: `isobar deploy FUNCTION --shadow`",
            )
        })?;
        let charge = self.version(&name).ok_or_else(|| {
            DeployError::refused(
                format!("`{name}` does not run, so that there is nothing to compare it with"),
                "deploy it without `--shadow`",
            )
        })?;
        if self.store.shadows().await?.iter().any(|shadow| shadow.function == name && shadow.ended.is_none()) {
            let hint = format!("`isobar shadow drop {name}` ends it, `isobar promote {name}` puts it in charge");
            return Err(DeployError::refused(format!("`{name}` has a shadow already"), hint));
        }
        let Decided { application, arrivals, mut versions, taken, .. } =
            self.decide(ask, Way { in_shadow: true, again: replays }).await?;
        let taken = taken.into_iter().next();
        let arrived = arrivals.into_iter().find(|arrival| arrival.function == name);
        let (Some(taken), Some(arrival), Some(version)) = (taken, arrived, versions.remove(&name)) else {
            let (running, hint) = (charge.short(), "change the component, or what spin.toml says of the function");
            return Err(DeployError::refused(format!("version {running} of `{name}` is in charge already"), hint));
        };
        comparable(&charge, &version, course)?;
        self.shadows.end(&name).await;
        self.store.drop_shadow(&name, None).await?;
        let place: String = format!("{:032x}", rand::random::<u128>()).chars().take(PLACE_DIGITS).collect();
        let entry = Entry { before: taken.before.clone(), ..entry(&name, who, course.action(), Some(&taken.version)) };
        let (component, declared, at_ms) = (version.component.to_string(), arrival.part.clone(), entry.at_ms);
        let extent = course.extent();
        self.store.begin_shadow(Beginning { arrival, place: place.clone(), replays, extent, entry }).await?;
        let mirrors = match self.mirrors(&place, mirrored(&application, &name), &version, course).await {
            Ok(mirrors) => mirrors,
            Err(error) => {
                self.store.drop_shadow(&name, None).await?;
                return Err(error);
            }
        };
        let shadow = Shadow {
            function: name,
            version: taken.version.clone(),
            component,
            part: declared,
            place,
            at_ms,
            replays,
            extent,
            past: replays,
            ended: None,
        };
        self.shadows.begin(shadow, &charge, version, mirrors);
        Ok(taken)
    }

    /// The data of a shadow that is begun. Where its rows are in a store of the operator's, the version in charge stands still while they
    /// are read: only then is it known of which batches they are.
    async fn mirrors(
        &self,
        place: &str,
        mirrored: Application,
        version: &Version,
        course: Course,
    ) -> Result<Mirrors, DeployError> {
        let function = &version.function;
        let _held = match stored_elsewhere(&version.application, &function.name) {
            Some(_) => Some(self.stand_still(&function.name).await?),
            None => None,
        };
        // From now on nothing goes from the log.
        let spans = match course {
            Course::Beside => None,
            Course::Past => Some(self.spans(version, None).await?),
            Course::Compared(part) => Some(self.spans(version, Some(part)).await?),
        };
        let made = Mirrors::make(&self.store, place, mirrored, function, spans.as_deref());
        let made = tokio::time::timeout(LONGEST_COPY, made).await.map_err(|_| {
            let (name, waited) = (&function.name, LONGEST_COPY.as_secs());
            let message = format!("what `{name}` has written could not be copied within {waited} s");
            discard(&self.store, place);
            DeployError::refused(
                message,
                "nothing has changed; the tables are too large to be compared, or their store is too slow",
            )
        })?;
        made.map_err(|error| DeployError::Failed(format!("{error:#}")))
    }

    /// Goes on with the shadows that there were when the host was stopped.
    ///
    /// # Errors
    /// When the data cannot be read or written. What one shadow lacks ends it.
    pub async fn resume_shadows(&self) -> Result<(), DeployError> {
        if self.is_shared {
            return Ok(());
        }
        let _turn = self.turn.lock().await;
        self.shadows.sweep().await?;
        for shadow in self.store.shadows().await?.into_iter().filter(|shadow| shadow.ended.is_none()) {
            if let Err(error) = self.resume(shadow.clone()).await {
                tracing::warn!(function = %shadow.function, %error, "a shadow cannot go on");
                self.store.fail_shadow(&shadow.function, error.to_string()).await?;
            }
        }
        Ok(())
    }

    async fn resume(&self, shadow: Shadow) -> Result<(), DeployError> {
        let name = shadow.function.clone();
        let Decided { application, mut versions, .. } =
            self.decide(self.ask_of(&shadow).await?, Way { in_shadow: true, again: shadow.replays }).await?;
        let version = versions.remove(&name).filter(|version| *version.digest == shadow.version);
        let version = version.ok_or_else(|| {
            DeployError::Failed(format!("version {} is another one by what runs now", short(&shadow.version)))
        })?;
        let mirrors = Mirrors::open(&self.store, &shadow.place, mirrored(&application, &name)).await;
        let mirrors = mirrors.map_err(|error| DeployError::Failed(format!("{error:#}")))?;
        let mirrors = mirrors.ok_or_else(|| DeployError::Failed("its data are not in the data folder".to_owned()))?;
        let charge = self.version(&shadow.function).unwrap_or_else(|| Arc::clone(&version));
        self.shadows.begin(shadow, &charge, version, mirrors);
        Ok(())
    }

    /// What of each partition is to be replayed, nothing where that is all; refused where it is not all there any more.
    async fn spans(&self, version: &Version, part: Option<Part>) -> Result<Vec<Span>, DeployError> {
        let spans = match part {
            Some(part) => self.store.spans(&version.function.name, &part).await?,
            None => Vec::new(),
        };
        if part.is_some() && spans.iter().all(|span| span.first >= span.next) {
            return Err(nothing_there(&version.function.name));
        }
        let topics: Vec<&str> = version.function.topics().collect();
        let from = |topic: &str, partition: u32| match part {
            Some(_) => {
                let mut of_partition = spans.iter().filter(|s| s.source.as_ref() == topic && s.partition == partition);
                // Of nothing nothing is needed.
                of_partition.find(|span| span.first < span.next).map_or(i64::MAX, |span| span.first)
            }
            None => 0,
        };
        let gone = |p: &TopicStatus| topics.contains(&p.topic.as_str()) && p.first > from(&p.topic, p.partition);
        let Some(TopicStatus { topic, partition, first, .. }) = self.store.topics().await?.into_iter().find(gone)
        else {
            return Ok(spans);
        };
        Err(DeployError::refused(
            format!("`{topic}`/{partition} begins at {first}: what came before is gone, and cannot be replayed"),
            "a topic keeps everything unless spin.toml says `retention_max_hours` or `retention_max_bytes`; `--from` replays what is left",
        ))
    }

    /// Lets a version that is kept run over the past again: the one named by the beginning of its digest, else the one in charge.
    ///
    /// # Errors
    /// [`DeployError`]; the audit log has it.
    pub async fn replay(
        &self,
        function: &str,
        version: Option<&str>,
        course: Course,
        who: &str,
    ) -> Result<Taken, DeployError> {
        let _turn = self.turn.lock().await;
        let running = self.running().remove(function).unwrap_or_default();
        let ask = self.kept_ask(function, Some(version.unwrap_or(&running))).await?;
        self.as_allowed(who, &[function.to_owned()], course.action(), self.follow(ask, course, who)).await
    }

    pub(super) async fn ask_of(&self, shadow: &Shadow) -> Result<Ask, DeployError> {
        let component = self.kept_component(&shadow.component).await?;
        let components = BTreeMap::from([(shadow.function.clone(), component)]);
        Ok(Ask { part: shadow.part.clone(), components, ..Ask::default() })
    }

    /// What the shadow of a function made beside what the version in charge made; of each table the first `most` differences.
    ///
    /// # Errors
    /// [`DeployError`].
    pub async fn compare_shadow(&self, function: &str, most: u32, sensitive: bool) -> Result<Comparison, DeployError> {
        let shadow = self.shadow_of(function).await?;
        match self.shadows.of(function).filter(|_| shadow.ended.is_none()) {
            Some(running) => Ok(running.compare(&self.store, most, sensitive).await?),
            None => Ok(Comparison::of(&shadow)),
        }
    }

    /// How far the shadow of a function has come; nothing is compared.
    ///
    /// # Errors
    /// [`DeployError`].
    pub async fn look_at_shadow(&self, function: &str) -> Result<Comparison, DeployError> {
        let shadow = self.shadow_of(function).await?;
        let behind = match self.shadows.of(function).filter(|_| shadow.ended.is_none()) {
            Some(running) => running.behind(&self.store).await?,
            None => 0,
        };
        Ok(Comparison { behind, ..Comparison::of(&shadow) })
    }

    pub(super) async fn shadow_of(&self, function: &str) -> Result<Shadow, DeployError> {
        let found = self.store.shadows().await?.into_iter().find(|shadow| shadow.function == function);
        found.ok_or_else(|| ShadowError::None(format!("`{function}` has no shadow")).into())
    }

    /// Ends the shadow of a function; nothing of it is left.
    ///
    /// # Errors
    /// [`DeployError`].
    pub async fn drop_shadow(&self, function: &str, who: &str) -> Result<(), DeployError> {
        let _turn = self.turn.lock().await;
        let dropped = async {
            let shadow = self.shadow_of(function).await?;
            let entry = entry(function, who, DROP, Some(&shadow.version));
            self.store.drop_shadow(function, Some(entry)).await?;
            self.shadows.end(function).await;
            Ok(())
        };
        self.as_allowed(who, &[function.to_owned()], DROP, dropped).await
    }
}

/// What a version in the shadow runs over.
#[derive(Debug, Clone, Copy)]
pub enum Course {
    /// What comes from now on, with a copy of the state.
    Beside,
    /// The log from its beginning, with nothing, to take over.
    Past,
    /// A part of the log, or all that there is, with nothing, to be compared.
    Compared(Part),
}

impl Course {
    /// What the audit log calls it.
    fn action(self) -> &'static str {
        match self {
            Course::Beside => "shadow",
            Course::Past | Course::Compared(_) => "replay",
        }
    }

    fn extent(self) -> Extent {
        match self {
            Course::Beside | Course::Past => Extent::Open,
            Course::Compared(part) if part == Part::default() => Extent::Past,
            Course::Compared(_) => Extent::Part,
        }
    }
}

fn nothing_there(function: &str) -> DeployError {
    let message = format!("`{function}` has handled nothing that could be replayed there");
    DeployError::refused(message, "`--from` comes before `--to`, and both before what was handled last")
}

/// A table that a function writes to and that is kept in a store of the operator's, and which that is.
fn stored_elsewhere<'a>(application: &'a Application, function: &str) -> Option<(&'a str, &'a str)> {
    let mut tables = application.tables.values().filter(|table| application.writer_of(&table.name) == Some(function));
    tables.find_map(|table| Some((table.name.as_str(), table.connection.as_deref()?)))
}

/// Refuses what cannot be compared with the version in charge.
fn comparable(charge: &Version, shadow: &Version, course: Course) -> Result<(), DeployError> {
    let replays = !matches!(course, Course::Beside);
    let (name, function) = (&shadow.function.name, &shadow.function);
    let refused = |message: String| Err(DeployError::refused(message, "deploy it without `--shadow`"));
    let schedules = |f: &Function| f.triggers.iter().any(|t| matches!(t.source, TriggerSource::Cron(_)));
    if schedules(&charge.function) || schedules(function) {
        return refused(format!("`{name}` runs on a schedule, and only what is made of records is compared"));
    }
    if !function.allowed_outbound_hosts.is_empty() {
        return refused(format!("`{name}` may send HTTP requests, and a shadow may not: they would be sent twice"));
    }
    let topics = |f: &Function| -> Vec<String> {
        let topic = |t: &TriggerSource| if let TriggerSource::Topic(topic) = t { Some(topic.clone()) } else { None };
        let mut topics: Vec<String> = f.triggers.iter().filter_map(|t| topic(&t.source)).collect();
        topics.sort();
        topics
    };
    if topics(&charge.function) != topics(function) {
        return refused(format!("`{name}` would follow other topics than the version in charge"));
    }
    let elsewhere = stored_elsewhere(&charge.application, name).or_else(|| stored_elsewhere(&shadow.application, name));
    if let Some((table, connection)) = elsewhere.filter(|_| course.extent() == Extent::Open) {
        return Err(DeployError::refused(
            format!(
                "`{name}` writes to table `{table}`, which is kept in `{connection}`, and a shadow takes over tables in the data folder only"
            ),
            format!("`isobar replay {name}` compares what a version makes of the past with what is in `{connection}`"),
        ));
    }
    let letting_go = function.grants.publish.iter().find(|topic| {
        shadow.application.topics.get(*topic).is_some_and(|topic| topic.retention != Retention::default())
    });
    if let Some(topic) = letting_go.filter(|_| replays) {
        return refused(format!(
            "`{name}` publishes to `{topic}`, which lets go of old records, so that it cannot be said what it published"
        ));
    }
    let written = |version: &Version| -> BTreeSet<String> {
        let application = &version.application;
        application.tables.keys().filter(|table| application.writer_of(table) == Some(name)).cloned().collect()
    };
    if let Some(table) = written(charge).difference(&written(shadow)).next() {
        return refused(format!("`{name}` would not write table `{table}` any more, whose rows could not be compared"));
    }
    if charge.function.grants.state_version != function.grants.state_version && !replays {
        return refused(format!(
            "the state of `{name}` would be of another version than what is stored; `isobar deploy {name} --rebuild` computes it anew"
        ));
    }
    Ok(())
}
