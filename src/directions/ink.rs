//! Ink: how far each pixel is from the background, and the moments of it.
//!
//! Shape is measured on ink so that white on black and black on white are the same shape. The
//! background is, channel by channel, the median of the outermost ring of pixels; ink is the mean
//! over the channels of the distance from it, less [`FLOOR`].

/// Differences from the background below this are a generator's noise, not ink.
const FLOOR: f64 = 0.05;

/// Images with less ink a pixel than this are blank: they have no shape.
const BLANK: f64 = 0.002;

/// How much ink there is at each pixel, in `[0, 1]`.
#[derive(Debug, Clone)]
pub(super) struct Ink {
    width: usize,
    height: usize,
    values: Vec<f64>,
    mass: f64,
}

/// Second central moments of ink a unit of mass, in square pixels; x to the right, y upwards.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Spread {
    pub xx: f64,
    pub xy: f64,
    pub yy: f64,
}

impl Ink {
    /// From planes in `[0, 1]`, each `height × width`.
    pub fn new(planes: &[&[f64]], height: usize, width: usize) -> Self {
        let mut values = vec![0.0; height * width];
        for plane in planes {
            let background = ring_median(plane, height, width);
            for (ink, value) in values.iter_mut().zip(*plane) {
                *ink += (value - background).abs() / planes.len() as f64;
            }
        }
        values.iter_mut().for_each(|ink| *ink = (*ink - FLOOR).max(0.0));
        let mass = values.iter().sum();
        Self { width, height, values, mass }
    }

    /// Whether there is too little ink for a shape.
    pub fn is_blank(&self) -> bool {
        self.mass < BLANK * self.values.len() as f64
    }

    /// The centroid in pixels from the upper left corner of the image: (x, y), y downwards.
    pub fn centroid(&self) -> Option<(f64, f64)> {
        if self.is_blank() {
            return None;
        }
        let (mut x, mut y) = (0.0, 0.0);
        for (pixel, ink) in self.values.iter().enumerate() {
            x += ink * ((pixel % self.width) as f64 + 0.5);
            y += ink * ((pixel / self.width) as f64 + 0.5);
        }
        Some((x / self.mass, y / self.mass))
    }

    pub fn spread(&self) -> Option<Spread> {
        let (cx, cy) = self.centroid()?;
        let mut spread = Spread { xx: 0.0, xy: 0.0, yy: 0.0 };
        for (pixel, ink) in self.values.iter().enumerate() {
            let dx = (pixel % self.width) as f64 + 0.5 - cx;
            let dy = cy - (pixel / self.width) as f64 - 0.5;
            spread.xx += ink * dx * dx;
            spread.xy += ink * dx * dy;
            spread.yy += ink * dy * dy;
        }
        let Spread { xx, xy, yy } = spread;
        Some(Spread { xx: xx / self.mass, xy: xy / self.mass, yy: yy / self.mass })
    }

    /// Twice the ink over the length of its edge, in pixels: the width of a stroke, whatever its
    /// length and contrast.
    pub fn thickness(&self) -> Option<f64> {
        if self.is_blank() {
            return None;
        }
        // The ink ends at the border of the image, if not before.
        let at = |x: usize, y: usize| match (x.checked_sub(1), y.checked_sub(1)) {
            (Some(x), Some(y)) if x < self.width && y < self.height => {
                self.values[y * self.width + x]
            }
            _ => 0.0,
        };
        let mut edge = 0.0;
        for y in 0..=self.height {
            for x in 0..=self.width {
                let (right, down) = (at(x + 1, y) - at(x, y), at(x, y + 1) - at(x, y));
                edge += (right * right + down * down).sqrt();
            }
        }
        Some(2.0 * self.mass / edge)
    }
}

/// The lower median of the outermost pixels.
fn ring_median(plane: &[f64], height: usize, width: usize) -> f64 {
    let on_ring = |pixel: usize| {
        let (x, y) = (pixel % width, pixel / width);
        x == 0 || y == 0 || x + 1 == width || y + 1 == height
    };
    let ring = plane.iter().enumerate().filter(|(pixel, _)| on_ring(*pixel));
    let mut ring: Vec<f64> = ring.map(|(_, value)| *value).collect();
    ring.sort_by(f64::total_cmp);
    ring.get((ring.len().max(1) - 1) / 2).copied().unwrap_or(0.0)
}
