use std::time::Duration;

use minicloud_core::time::Timestamp;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::time::timeout;

use super::*;
use crate::api::types::LogQuery;
use crate::limits::{LOG_FILE_BYTES_MAX, LOG_LINE_BYTES_MAX};

const TASK: TaskId = TaskId(7);

#[derive(Default)]
struct FakeClock(AtomicU64);

impl Clock for FakeClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::Relaxed))
    }
}

struct Fixture {
    logs: Logs,
    clock: Arc<FakeClock>,
    directory: tempfile::TempDir,
}

impl Fixture {
    fn new() -> Fixture {
        let (directory, clock) = (tempfile::tempdir().unwrap(), Arc::new(FakeClock::default()));
        Fixture { logs: Logs::open(directory.path(), clock.clone()).unwrap(), clock, directory }
    }

    fn write(&self, task: TaskId, at_ms: u64, text: &str) {
        self.clock.0.store(at_ms, Ordering::Relaxed);
        self.logs.sink(task)(LogStream::Stdout, format!("{text}\n").as_bytes());
    }
}

async fn next(source: &mut LogSource) -> LogEvent {
    timeout(Duration::from_secs(10), source.recv()).await.expect("an event within 10 s").expect("the reading goes on")
}

async fn next_text(source: &mut LogSource) -> String {
    match next(source).await {
        LogEvent::Line(_, record) => record.text,
        other => panic!("{other:?} is no line"),
    }
}

/// Texts up to `CaughtUp`.
async fn past(source: &mut LogSource) -> Vec<String> {
    let mut texts = Vec::new();
    loop {
        match next(source).await {
            LogEvent::Line(_, record) => texts.push(record.text),
            LogEvent::CaughtUp => return texts,
            LogEvent::Problem(problem) => texts.push(problem),
        }
    }
}

#[tokio::test]
async fn tail_and_since_choose_lines() {
    let fixture = Fixture::new();
    for at_ms in 1..=9 {
        fixture.write(TASK, at_ms, &format!("line {at_ms}"));
    }
    let read = |tail, since_ms| read(&fixture.logs, TASK, LogQuery { tail, since_ms, ..Default::default() });
    assert_eq!(past(&mut read(None, None)).await.len(), 9);
    assert_eq!(past(&mut read(Some(2), None)).await, ["line 8", "line 9"]);
    assert_eq!(past(&mut read(None, Some(9))).await, ["line 9"]);
    assert_eq!(past(&mut read(Some(3), Some(8))).await, ["line 8", "line 9"]);
    assert_eq!(past(&mut read(Some(0), None)).await, Vec::<String>::new());
    let mut ended = read(Some(0), None);
    past(&mut ended).await;
    assert_eq!(ended.recv().await, None);
}

#[tokio::test]
async fn a_follower_sees_lines_as_they_are_written_across_a_rotation() {
    let fixture = Fixture::new();
    fixture.write(TASK, 1, "before");
    let mut source = read(&fixture.logs, TASK, LogQuery { follow: true, ..Default::default() });
    assert_eq!(past(&mut source).await, ["before"]);
    let lines = 3 * LOG_FILE_BYTES_MAX as usize / 2 / LOG_LINE_BYTES_MAX;
    for number in 0..lines {
        fixture.write(TASK, 2, &format!("{number} {}", "x".repeat(LOG_LINE_BYTES_MAX - 100)));
        let text = next_text(&mut source).await;
        assert!(text.starts_with(&format!("{number} ")), "{number}: {}", &text[..20]);
    }
    assert!(file::rotated(fixture.directory.path(), TASK).exists());
    assert!(std::fs::metadata(file::current(fixture.directory.path(), TASK)).unwrap().len() <= LOG_FILE_BYTES_MAX);
}

/// Writes full lines with the numbers of the range, so that none is dropped.
async fn write_full(fixture: &Fixture, numbers: std::ops::Range<usize>) {
    for number in numbers {
        fixture.write(TASK, 2, &format!("{number} {}", "x".repeat(LOG_LINE_BYTES_MAX - 100)));
        fixture.logs.flush().await;
    }
}

#[tokio::test]
async fn a_slow_follower_misses_nothing_that_is_kept_and_is_told_what_is_not() {
    let number = |event: &LogEvent| match event {
        LogEvent::Line(_, record) => record.text.split(' ').next().unwrap().parse::<usize>().unwrap(),
        other => panic!("{other:?} is no line"),
    };
    let a_file = LOG_FILE_BYTES_MAX as usize / LOG_LINE_BYTES_MAX;
    // The follower tells as many lines as may wait, and stands in the first or second file while others come and go.
    for (halves, complete) in [(5, true), (10, false)] {
        let fixture = Fixture::new();
        fixture.write(TASK, 1, "before");
        let mut source = read(&fixture.logs, TASK, LogQuery { follow: true, until_end: true, ..Default::default() });
        assert_eq!(past(&mut source).await, ["before"]);
        let lines = halves * a_file / 2;
        write_full(&fixture, 0..lines).await;
        LogSink::ended(&fixture.logs, TASK);
        let mut events = Vec::new();
        while let Some(event) = timeout(Duration::from_secs(10), source.recv()).await.expect("an event within 10 s") {
            events.push(event);
        }
        let problems = events.iter().filter(|event| matches!(event, LogEvent::Problem(_))).count();
        let told: Vec<usize> = events.iter().filter(|event| matches!(event, LogEvent::Line(..))).map(number).collect();
        assert!(told.is_sorted() && told.first() == Some(&0) && told.last() == Some(&(lines - 1)), "{halves} halves: {told:?}");
        assert_eq!((told.len() == lines, problems), (complete, usize::from(!complete)), "{halves} halves: {} of {lines}", told.len());
    }
}

#[tokio::test]
async fn who_wants_every_line_is_told_that_the_first_are_not_kept() {
    let a_file = LOG_FILE_BYTES_MAX as usize / LOG_LINE_BYTES_MAX;
    let all = LogQuery { until_end: true, ..Default::default() };
    for (halves, query, missing) in [(3, all, false), (5, all, true), (5, LogQuery { tail: Some(1), ..all }, false)] {
        let fixture = Fixture::new();
        write_full(&fixture, 0..halves * a_file / 2).await;
        let mut source = read(&fixture.logs, TASK, query);
        let first = source.recv().await.unwrap();
        assert_eq!(matches!(&first, LogEvent::Problem(text) if text.contains("are not kept")), missing, "{halves} halves: {first:?}");
    }
}

#[tokio::test]
async fn a_follower_of_a_task_that_has_written_nothing_yet_is_told_what_it_missed() {
    let a_file = LOG_FILE_BYTES_MAX as usize / LOG_LINE_BYTES_MAX;
    for (halves, problems) in [(3, 0), (6, 1)] {
        let fixture = Fixture::new();
        let mut source = read(&fixture.logs, TASK, LogQuery { follow: true, until_end: true, ..Default::default() });
        assert_eq!(past(&mut source).await, Vec::<String>::new());
        // It stands at the first lines, which is as many as may wait, while the others are written.
        let lines = halves * a_file / 2;
        tokio::task::yield_now().await;
        write_full(&fixture, 0..lines).await;
        LogSink::ended(&fixture.logs, TASK);
        let (mut told, mut said) = (Vec::new(), 0);
        while let Some(event) = timeout(Duration::from_secs(10), source.recv()).await.expect("an event within 10 s") {
            match event {
                LogEvent::Line(_, record) => told.push(record.text.split(' ').next().unwrap().parse::<usize>().unwrap()),
                _ => said += 1,
            }
        }
        assert!(told.is_sorted() && told.last() == Some(&(lines - 1)), "{told:?}");
        assert_eq!(told.len() == lines, said == 0, "{halves} halves: {} of {lines}, {said} said", told.len());
        assert!(said <= problems, "{halves} halves: {said}");
    }
}

#[tokio::test]
async fn a_log_is_found_again_after_a_restart_and_a_cut_line_is_passed_over() {
    let fixture = Fixture::new();
    fixture.write(TASK, 1, "first");
    fixture.logs.flush().await;
    let path = file::current(fixture.directory.path(), TASK);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes.extend_from_slice(b"{\"at_ms\":2,\"str");
    std::fs::write(&path, bytes).unwrap();
    let again = Logs::open(fixture.directory.path(), fixture.clock.clone()).unwrap();
    again.sink(TASK)(LogStream::Stderr, b"second, without end");
    assert_eq!(past(&mut read(&again, TASK, LogQuery::default())).await, ["first", "second, without end"]);
}

#[tokio::test]
async fn a_burst_is_bounded_and_what_was_dropped_is_said() {
    let fixture = Fixture::new();
    let sink = fixture.logs.sink(TASK);
    let burst = "y".repeat(1_000) + "\n";
    sink(LogStream::Stdout, burst.repeat(100_000).as_bytes());
    let texts = past(&mut read(&fixture.logs, TASK, LogQuery::default())).await;
    let notice = texts.iter().find(|text| text.contains("lines were dropped")).expect("a notice");
    let dropped: usize = notice.split(' ').nth(1).unwrap().parse().unwrap();
    assert!(dropped > 0 && texts.len() - 1 + dropped <= 100_000, "{notice}");
}

#[tokio::test]
async fn logs_of_several_tasks_are_told_in_order_of_time() {
    let fixture = Fixture::new();
    for at_ms in 1..=20 {
        fixture.write(TaskId(at_ms % 3), at_ms, &at_ms.to_string());
    }
    let query = LogQuery { follow: true, ..Default::default() };
    let (more, added) = mpsc::channel(1);
    let mut merged = merge((0..3).map(|task| read(&fixture.logs, TaskId(task), query)).collect(), Some(added));
    let expected: Vec<_> = (1..=20).map(|at_ms: u64| at_ms.to_string()).collect();
    assert_eq!(past(&mut merged).await, expected);

    fixture.write(TaskId(1), 21, "later");
    assert_eq!(next_text(&mut merged).await, "later");
    fixture.write(TaskId(9), 22, "of a new task");
    more.send(read(&fixture.logs, TaskId(9), query)).await.unwrap();
    assert_eq!(next_text(&mut merged).await, "of a new task");
}

#[tokio::test]
async fn a_merge_ends_with_its_sources() {
    let fixture = Fixture::new();
    fixture.write(TASK, 1, "only");
    let mut merged = merge(vec![read(&fixture.logs, TASK, LogQuery::default())], None);
    assert_eq!(past(&mut merged).await, ["only"]);
    assert_eq!(merged.recv().await, None);
    assert_eq!(merge(Vec::new(), None).recv().await, Some(LogEvent::CaughtUp));
}

#[tokio::test]
async fn another_node_tells_its_logs_and_stops_when_the_reader_leaves() {
    use crate::memory_stream;
    use crate::router::StreamService;
    use minicloud_core::state::Role;

    let fixture = Fixture::new();
    fixture.write(TASK, 1, "remote");
    let (mut near, far) = memory_stream::pair();
    let service = LogsService(fixture.logs.clone());
    let serving = tokio::spawn(async move { service.serve(memory_stream::peer(2, Role::Worker), far).await });
    remote::ask(&mut near, vec![TASK], LogQuery { follow: true, ..Default::default() }).await.unwrap();
    let first: LogEvent = crate::frame::expect(&mut near).await.unwrap();
    assert!(matches!(first, LogEvent::Line(TASK, record) if record.text == "remote"));
    assert_eq!(crate::frame::expect::<LogEvent>(&mut near).await.unwrap(), LogEvent::CaughtUp);
    drop(near);
    timeout(Duration::from_secs(10), serving).await.expect("it ends when nobody reads").unwrap();
}
