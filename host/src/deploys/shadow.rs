//! Shadows by deploy: a version that is to be compared first, then put in charge with its state, or dropped.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::comparable::{comparable, publishes_alone, stored_elsewhere};
use super::{Ask, Decided, DeployError, Deploys, Taken, Way, entry, short};
use crate::embedded::TopicStatus;
use crate::embedded::mirrors::{Mirrors, discard, mirrored};
use crate::embedded::past::{Part, Past, Span};
use crate::embedded::shadows::{Beginning, Extent, Shadow};
use crate::embedded::versions::Entry;
use crate::kafka::past::Published;
use crate::manifest::Application;
use crate::registry::Version;
use crate::shadows::{Comparison, ShadowError};

/// What the audit log calls it when one is ended.
const DROP: &str = "shadow drop";
/// How long a function may stand still while what it has written is read.
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
        let Decided { application, arrivals, mut versions, taken, .. } = self
            .decide(ask, Way { in_shadow: true, again: replays, compares: course.extent() != Extent::Open })
            .await?;
        let taken = taken.into_iter().next();
        let arrived = arrivals.into_iter().find(|arrival| arrival.function == name);
        let (Some(taken), Some(arrival), Some(version)) = (taken, arrived, versions.remove(&name)) else {
            let (running, hint) = (charge.short(), "change the component, or what spin.toml says of the function");
            return Err(DeployError::refused(format!("version {running} of `{name}` is in charge already"), hint));
        };
        comparable(&charge, &version, course)?;
        let mut beside_others = false;
        if let Some(cluster) = &self.cluster {
            publishes_alone(&version)?;
            beside_others = !cluster.others(&application).await.map_err(DeployError::failed)?.is_empty();
        }
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
        self.shadows.begin(shadow, &charge, version, mirrors, beside_others);
        Ok(taken)
    }

    /// The data of a shadow that is begun. Where its rows are in a store of the operator's, or the log is in Kafka, the version in charge
    /// stands still while they are read: only then is it known of which batches they are.
    async fn mirrors(
        &self,
        place: &str,
        mirrored: Application,
        version: &Version,
        course: Course,
    ) -> Result<Mirrors, DeployError> {
        let function = &version.function;
        let is_apart = self.cluster.is_some() || stored_elsewhere(&version.application, &function.name).is_some();
        if !is_apart {
            return self.copied(place, mirrored, version, course).await;
        }
        // What waits for stores is applied before, as far as it goes, so that it stands still for as short as can be.
        if let Ok(applied) = tokio::time::timeout(LONGEST_COPY, self.store.all_applied_of(&function.name)).await {
            applied?;
        }
        let _held = self.stand_still(&function.name).await?;
        let copied = async {
            self.store.all_applied_of(&function.name).await?;
            self.copied(place, mirrored, version, course).await
        };
        tokio::time::timeout(LONGEST_COPY, copied).await.unwrap_or_else(|_| {
            discard(&self.store, place);
            let (name, waited) = (&function.name, LONGEST_COPY.as_secs());
            let message =
                format!("what `{name}` has written could not be read within {waited} s, in which it stands still");
            let hint =
                "nothing has changed; its tables or topics hold too much to be compared, or their stores are too slow";
            Err(DeployError::refused(message, hint))
        })
    }

    async fn copied(
        &self,
        place: &str,
        mirrored: Application,
        version: &Version,
        course: Course,
    ) -> Result<Mirrors, DeployError> {
        let function = &version.function;
        // From now on nothing goes from the log.
        let spans = match (course, &self.cluster) {
            (Course::Beside, _) => None,
            (Course::Compared(part), Some(cluster)) => Some(cluster.spans(&version.application, function, part).await?),
            (Course::Compared(part), None) => Some(self.spans(version, Some(part)).await?),
            (Course::Past, _) => Some(self.spans(version, None).await?),
        };
        if let (Course::Compared(_), Some(spans)) = (course, &spans)
            && spans.iter().all(|span| span.first >= span.next)
        {
            return Err(nothing_there(&function.name));
        }
        let published;
        let past: &dyn Past = match &self.cluster {
            Some(cluster) => {
                let (cluster, application) = (Arc::clone(cluster), Arc::clone(&version.application));
                published = Published { cluster, application };
                &published
            }
            None => self.store.as_ref(),
        };
        let replays = spans.as_deref().map(|spans| (spans, past));
        let made = Mirrors::make(&self.store, place, mirrored, function, replays).await;
        made.map_err(|error| DeployError::Failed(format!("{error:#}")))
    }

    /// Goes on with the shadows that there were when the host was stopped.
    ///
    /// # Errors
    /// When the data cannot be read or written. What one shadow lacks ends it.
    pub async fn resume_shadows(&self) -> Result<(), DeployError> {
        let _turn = self.turn.lock().await;
        if self.cluster.is_some() {
            // What was compared is begun anew by who wants to know.
            for shadow in self.store.shadows().await? {
                self.store.drop_shadow(&shadow.function, None).await?;
            }
        }
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
        let Decided { application, mut versions, .. } = self
            .decide(
                self.ask_of(&shadow).await?,
                Way { in_shadow: true, again: shadow.replays, compares: shadow.extent != Extent::Open },
            )
            .await?;
        let version = versions.remove(&name).filter(|version| *version.digest == shadow.version);
        let version = version.ok_or_else(|| {
            DeployError::Failed(format!("version {} is another one by what runs now", short(&shadow.version)))
        })?;
        let mirrors = Mirrors::open(&self.store, &shadow.place, mirrored(&application, &name)).await;
        let mirrors = mirrors.map_err(|error| DeployError::Failed(format!("{error:#}")))?;
        let mirrors = mirrors.ok_or_else(|| DeployError::Failed("its data are not in the data folder".to_owned()))?;
        let charge = self.version(&shadow.function).unwrap_or_else(|| Arc::clone(&version));
        self.shadows.begin(shadow, &charge, version, mirrors, false);
        Ok(())
    }

    /// What of each partition is to be replayed, nothing where that is all; refused where it is not all there any more.
    async fn spans(&self, version: &Version, part: Option<Part>) -> Result<Vec<Span>, DeployError> {
        let spans = match part {
            Some(part) => self.store.spans(&version.function.name, &part).await?,
            None => Vec::new(),
        };
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

    /// Whether a function has a shadow, at work or ended.
    ///
    /// # Errors
    /// [`DeployError`].
    pub async fn has_shadow(&self, function: &str) -> Result<bool, DeployError> {
        Ok(self.store.shadows().await?.iter().any(|shadow| shadow.function == function))
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

    pub(super) fn extent(self) -> Extent {
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
