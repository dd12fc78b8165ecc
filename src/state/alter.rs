//! Changing one thing of a window, while the rest stays.

use jiff::{SignedDuration, Timestamp};

use super::State;
use super::edit::{WindowSettings, refuse_passed};
use super::window::{Phase, Window};
use crate::actor::Stamp;
use crate::error::{Error, Result};

/// How much longer a window is to stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Extension {
    /// So much longer than it was to stay.
    By(SignedDuration),
    /// Until then.
    Until(Timestamp),
}

impl WindowSettings {
    /// The settings that a window has.
    #[must_use]
    pub fn of(window: &Window) -> Self {
        Self {
            reason: window.reason.clone(),
            reasons: window.reasons.clone(),
            start: window.start,
            end: window.end,
            estimate: window.estimate,
            scope: window.scope.clone(),
            page: window.page.clone(),
            lease: window.lease,
            run: window.run.clone(),
        }
    }
}

impl State {
    /// Changes settings of a window that is open or scheduled. What `change` leaves alone stays
    /// as it is, and so does who opened it, and the `maint run` that holds it with its lease.
    ///
    /// # Errors
    ///
    /// [`Error::Unknown`] if there is no window of that name; [`Error::Conflict`] if it has
    /// ended, for another start of a window that is open, and for another end of one whose
    /// holder moves the end; [`Error::Invalid`] if a setting is not acceptable, or if a new
    /// start, end or estimate has passed.
    pub fn change_window(
        &mut self,
        name: &str,
        change: impl FnOnce(&mut WindowSettings) -> Result<()>,
        stamp: Stamp<'_>,
    ) -> Result<()> {
        let now = stamp.now;
        let window = self.standing_window(name, now)?;
        let before = WindowSettings::of(window);
        let mut settings = before.clone();
        change(&mut settings)?;
        if settings.start != before.start && window.is_open(now) {
            return Err(Error::conflict(format!("window `{name}` is open already")));
        }
        if settings.end != before.end && window.lease.is_some() {
            return Err(moves_with_holder(name));
        }
        // A start that has passed would open a window that was to come, perhaps for a slip of the pen.
        for (what, new, old) in [
            ("start", settings.start, before.start),
            ("end", settings.end, before.end),
            ("estimate", settings.estimate, before.estimate),
        ] {
            refuse_passed(what, new.filter(|_| new != old), now)?;
        }
        let window = Window {
            reason: settings.reason,
            reasons: settings.reasons,
            start: settings.start,
            end: settings.end,
            estimate: settings.estimate,
            scope: settings.scope,
            page: settings.page,
            ..window.clone()
        };
        window.validate()?;
        self.windows.insert(name.to_owned(), window);
        Ok(())
    }

    /// Moves the end of a window that is open or scheduled. A duration moves the estimate
    /// as well, and counts from now where the estimate has passed.
    ///
    /// Where there is no end that visitors are told, the estimate is what moves.
    ///
    /// # Errors
    ///
    /// [`Error::Unknown`] if there is no window of that name; [`Error::Conflict`] if it has
    /// ended, or has neither an end nor an estimate; [`Error::Invalid`] for a time that is no
    /// later than what it was.
    pub fn extend_window(
        &mut self,
        name: &str,
        extension: Extension,
        stamp: Stamp<'_>,
    ) -> Result<()> {
        let now = stamp.now;
        let window = self.standing_window(name, now)?;
        let (end, estimate) = (window.promised_end(), window.estimate);
        if end.is_none() && estimate.is_none() {
            if window.lease.is_some() {
                return Err(moves_with_holder(name));
            }
            return Err(Error::conflict(format!(
                "window `{name}` has neither an end nor an estimate: it stays until it is closed"
            )));
        }
        let (end, estimate) = match extension {
            Extension::By(longer) => {
                let moved = |from: Timestamp| {
                    from.checked_add(longer)
                        .map_err(|_| Error::invalid("that is after the year 9999"))
                };
                let end = end.map(moved).transpose()?;
                let estimate = estimate.map(|estimate| moved(estimate.max(now))).transpose()?;
                (end, estimate.map(|estimate| end.map_or(estimate, |end| estimate.min(end))))
            }
            Extension::Until(until) => {
                let (what, was) = end.map_or(("estimate", estimate), |end| ("end", Some(end)));
                if let Some(was) = was.filter(|&was| until <= was) {
                    return Err(Error::invalid(format!(
                        "{until} is not after the {what}, {was}, so it would stay no longer"
                    )));
                }
                if end.is_some() { (Some(until), estimate) } else { (None, Some(until)) }
            }
        };
        let change = |settings: &mut WindowSettings| {
            if end.is_some() {
                settings.end = end;
            }
            settings.estimate = estimate;
            Ok(())
        };
        self.change_window(name, change, stamp)
    }

    /// A window that can still be changed.
    fn standing_window(&self, name: &str, now: Timestamp) -> Result<&Window> {
        let Some(window) = self.windows.get(name) else {
            let standing =
                self.windows.iter().filter(|(_, window)| window.phase(now) != Phase::Ended);
            return Err(Error::Unknown {
                kind: "window",
                name: name.to_owned(),
                known: standing.map(|(name, _)| name.clone()).collect(),
            });
        };
        match window.end.filter(|_| window.phase(now) == Phase::Ended) {
            Some(end) => Err(Error::conflict_with(
                format!("window `{name}` ended at {end}"),
                "open it again",
            )),
            None => Ok(window),
        }
    }
}

fn moves_with_holder(name: &str) -> Error {
    Error::conflict(format!(
        "window `{name}` is a lease: its end moves for as long as the run that holds it lives"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::actor::Actor;
    use crate::state::Scope;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn somebody(user: &str) -> Actor {
        Actor { user: user.to_owned(), ..Actor::default() }
    }

    /// A state with a window that Ann opened at 0.
    fn with(settings: &WindowSettings) -> State {
        let mut state = State::default();
        let ann = somebody("ann");
        state.open_window("w", settings, Stamp::new(at(0), &ann)).unwrap();
        state
    }

    fn set(state: &mut State, now: i64, change: impl FnOnce(&mut WindowSettings)) -> Result<()> {
        let bob = somebody("bob");
        let change = |settings: &mut WindowSettings| {
            change(settings);
            Ok(())
        };
        state.change_window("w", change, Stamp::new(at(now), &bob))
    }

    fn extend(state: &mut State, now: i64, extension: Extension) -> Result<()> {
        let bob = somebody("bob");
        state.extend_window("w", extension, Stamp::new(at(now), &bob))
    }

    fn by(seconds: i64) -> Extension {
        Extension::By(SignedDuration::from_secs(seconds))
    }

    /// End and estimate of the window.
    fn times(state: &State) -> (Option<i64>, Option<i64>) {
        let window = &state.windows["w"];
        (window.end.map(Timestamp::as_second), window.estimate.map(Timestamp::as_second))
    }

    #[test]
    fn only_what_is_given_changes() {
        let scope = Scope::new().paths(["/shop/**"]).unwrap();
        let settings = WindowSettings::new().reason("x").end(at(100)).scope(scope).lease(None);
        let mut state = with(&settings.run("r1"));
        state.windows.get_mut("w").unwrap().extra.insert("later".into(), 1.into());
        let before = state.windows["w"].clone();
        set(&mut state, 50, |settings| settings.reason = Some("y".to_owned())).unwrap();
        let expected = Window { reason: Some("y".to_owned()), ..before };
        assert_eq!(state.windows["w"], expected, "who, since when, the holder and the rest");
    }

    #[test]
    fn a_lease_stays_with_its_holder() {
        let settings = WindowSettings::new().lease(60).end(at(60)).run("r1");
        let mut state = with(&settings);
        set(&mut state, 10, |settings| settings.estimate = Some(at(3600))).unwrap();
        set(&mut state, 10, |settings| (settings.lease, settings.run) = (None, None)).unwrap();
        let window = &state.windows["w"];
        assert_eq!((window.lease, window.run.as_deref()), (Some(60), Some("r1")));
        state.renew_lease("w", at(40)).unwrap();
        assert_eq!(times(&state), (Some(100), Some(3600)));
        let refused = set(&mut state, 50, |settings| settings.end = None);
        assert!(matches!(refused, Err(Error::Conflict { .. })), "{refused:?}");
        extend(&mut state, 50, by(60)).unwrap();
        assert_eq!(times(&state), (Some(100), Some(3660)), "the estimate alone");
    }

    #[test]
    fn a_scheduled_window_can_begin_at_another_time_and_an_open_one_cannot() {
        let mut state = with(&WindowSettings::new().start(at(100)).end(at(200)));
        set(&mut state, 50, |settings| settings.start = Some(at(120))).unwrap();
        assert!(set(&mut state, 50, |settings| settings.start = Some(at(200))).is_err());
        let passed = set(&mut state, 50, |settings| settings.start = Some(at(49)));
        assert!(matches!(passed, Err(Error::Invalid { .. })), "it would open: {passed:?}");
        assert_eq!(state.windows["w"].start, Some(at(120)));
        let refused = set(&mut state, 120, |settings| settings.start = Some(at(130)));
        assert!(matches!(refused, Err(Error::Conflict { .. })), "it would come up: {refused:?}");
    }

    #[test]
    fn what_has_passed_stays_and_is_not_set_anew() {
        let mut state = with(&WindowSettings::new().estimate(at(10)));
        set(&mut state, 50, |settings| settings.reason = Some("late".to_owned())).unwrap();
        assert_eq!(times(&state), (None, Some(10)));
        assert!(set(&mut state, 50, |settings| settings.estimate = Some(at(50))).is_err());
        assert!(set(&mut state, 50, |settings| settings.end = Some(at(50))).is_err());
    }

    #[test]
    fn a_window_that_is_not_there_or_has_ended_is_not_changed() {
        let mut state = with(&WindowSettings::new().end(at(10)));
        let before = state.clone();
        let ended = set(&mut state, 10, |settings| settings.end = Some(at(20)));
        assert!(matches!(ended, Err(Error::Conflict { .. })), "{ended:?}");
        assert!(matches!(extend(&mut state, 10, by(5)), Err(Error::Conflict { .. })));
        let actor = Actor::default();
        let missing = state.extend_window("v", by(5), Stamp::new(at(1), &actor));
        assert!(matches!(missing, Err(Error::Unknown { .. })), "{missing:?}");
        assert_eq!(state, before);
    }

    #[test]
    fn an_extension_moves_the_end_and_what_is_expected() {
        for (end, estimate, now, extension, expected) in [
            (Some(100), None, 50, by(30), (Some(130), None)),
            (Some(100), Some(60), 50, by(30), (Some(130), Some(90))),
            (None, Some(60), 50, by(30), (None, Some(90))),
            (None, Some(60), 80, by(30), (None, Some(110))),
            (Some(100), Some(60), 90, by(30), (Some(130), Some(120))),
            (Some(100), None, 50, Extension::Until(at(101)), (Some(101), None)),
            (Some(100), Some(60), 50, Extension::Until(at(150)), (Some(150), Some(60))),
            (None, Some(60), 80, Extension::Until(at(81)), (None, Some(81))),
        ] {
            let settings = WindowSettings::new().end(end.map(at)).estimate(estimate.map(at));
            let mut state = with(&settings);
            extend(&mut state, now, extension).unwrap();
            assert_eq!(times(&state), expected, "{end:?} {estimate:?} at {now}: {extension:?}");
        }
    }

    #[test]
    fn an_extension_never_shortens_and_needs_something_to_move() {
        for (end, estimate, extension) in [
            (Some(100), None, Extension::Until(at(100))),
            (Some(100), None, Extension::Until(at(60))),
            (None, Some(60), Extension::Until(at(60))),
            (None, Some(60), Extension::Until(at(40))),
            (None, None, by(30)),
            (None, None, Extension::Until(at(300))),
            (Some(100), None, Extension::By(SignedDuration::MAX)),
        ] {
            let settings = WindowSettings::new().end(end.map(at)).estimate(estimate.map(at));
            let mut state = with(&settings);
            assert!(extend(&mut state, 50, extension).is_err(), "{end:?} {estimate:?}");
            assert_eq!(times(&state), (end, estimate));
        }
        let mut scheduled = with(&WindowSettings::new().start(at(100)).end(at(200)));
        extend(&mut scheduled, 50, by(30)).unwrap();
        assert_eq!(times(&scheduled), (Some(230), None));
    }
}
