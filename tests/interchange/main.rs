//! What the Python packages `webdataset` and `mosaicml-streaming` wrote is read to the same pixels.
//!
//! `fixtures.py` made the files with those packages. The other way round, that they read what
//! genset writes, is tested by `test_readers.py`.

use std::path::Path;

use genset::codec::{Form, Picture};
use genset::recipe::Layout;
use genset::shard::Records;
use genset::shard::mds::MdsRecords;
use genset::shard::webdataset::WebDatasetRecords;

const SAMPLES: u64 = 5;
const HEIGHT: usize = 6;
const WIDTH: usize = 7;

/// The image of a sample `[H, W, C]`, as `fixtures.py` makes it.
fn pixels(index: u64, channels: usize) -> Vec<u8> {
    let places = (0..HEIGHT).flat_map(|y| (0..WIDTH).map(move |x| (y, x)));
    let values = places.flat_map(|(y, x)| {
        (0..channels).map(move |c| index as usize * 31 + c * 17 + y * 7 + x * 3)
    });
    values.map(|value| (value % 256) as u8).collect()
}

/// A picture of 6 × 7 as `[H, W, C]`.
fn decoded(picture: Picture<'_>) -> Vec<u8> {
    match picture.form {
        Form::Png => {
            let mut reader =
                png::Decoder::new(std::io::Cursor::new(picture.bytes)).read_info().unwrap();
            let info = reader.info();
            assert_eq!((info.width, info.height), (WIDTH as u32, HEIGHT as u32));
            let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
            reader.next_frame(&mut pixels).unwrap();
            pixels
        }
        Form::Raw(form) => {
            assert_eq!((form.height, form.width), (HEIGHT, WIDTH));
            assert!(form.layout == Layout::Nhwc || form.channels == 1);
            picture.bytes.to_vec()
        }
        other => panic!("the fixtures have no {other:?}"),
    }
}

/// Every picture and label is what the writer was given.
fn check(records: &dyn Records, views: &dyn Fn(u64) -> Vec<Vec<u8>>) {
    assert_eq!(records.samples(), 0..SAMPLES);
    assert!(records.has_labels());
    for index in 0..SAMPLES {
        assert_eq!(records.label(index).unwrap(), Some(index as i64 * 2 - 1));
        let mut seen = Vec::new();
        let mut show = |number, picture: Picture<'_>| {
            assert_eq!(number, seen.len());
            seen.push(decoded(picture));
            Ok(())
        };
        records.show(index, &mut Vec::new(), &mut show).unwrap();
        assert_eq!(seen, views(index), "sample {index}");
        assert_eq!(seen.len(), records.pictures());
    }
}

fn fixture(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interchange/fixtures").join(name)
}

#[test]
fn tars_of_webdatasets_writer_are_read() {
    let records = WebDatasetRecords::open(&fixture("webdataset")).unwrap();
    check(&records, &|index| vec![pixels(index, 3)]);
    assert_eq!(records.together(0..SAMPLES), 3, "three samples are in the first of two tars");
    assert!(records.place(4).contains("shard-01.tar"), "{}", records.place(4));
    let braces = WebDatasetRecords::open(&fixture("webdataset/shard-{00..01}.tar")).unwrap();
    check(&braces, &|index| vec![pixels(index, 3)]);
}

#[test]
fn arrays_and_json_of_webdatasets_writer_are_read() {
    let records = WebDatasetRecords::open(&fixture("webdataset-npy")).unwrap();
    check(&records, &|index| {
        let image = pixels(index, 1);
        let inverse = image.iter().map(|value| 255 - value).collect();
        vec![image, inverse]
    });
}

#[test]
fn folders_of_streamings_writer_are_read_in_every_encoding() {
    for name in ["mds-png", "mds-pil", "mds-ndarray", "mds-static"] {
        let records = MdsRecords::open(&fixture(name)).unwrap();
        check(&records, &|index| vec![pixels(index, 3)]);
    }
}
