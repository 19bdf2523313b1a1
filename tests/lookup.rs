//! smoke
#[test]
fn smoke() {
    let session = qembed::Session::new().unwrap();
    println!("{:?}", session.adapter());
    let engine = qembed::verify::GpuEngine::new(&session);
    let mut n = 0;
    let mut bad = 0;
    let mut worst = 0f64;
    let t = std::time::Instant::now();
    qembed::verify::run(&engine, "", |case| {
        n += 1;
        if case.outcome.failure.is_some() {
            bad += 1;
            if bad < 20 {
                println!("{case:?}")
            }
        } else {
            worst = worst.max(case.outcome.largest);
        }
    })
    .unwrap();
    println!("{n} cases, {bad} bad {:?} worst {worst}", t.elapsed());
    assert_eq!(bad, 0);
}
