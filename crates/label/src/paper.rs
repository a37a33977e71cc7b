//! Dots as a file: PNG, PDF, and ZPL's own graphic for printers whose fonts are no use. The PNG
//! encoder keeps a packed copy of the picture that nobody wipes.

use pdf_writer::{Content, Finish, Name, Pdf, Rect, Ref};
use zeroize::Zeroizing;

use crate::{DrawError, Raster};

/// Points (1/72 inch) in a millimetre.
const POINTS: f32 = 72.0 / 25.4;

impl Raster {
    /// The label as PNG, one bit a dot, with its size in dots a metre.
    ///
    /// # Errors
    /// [`DrawError::Code`] when the encoder refuses, which it does for no label that was drawn.
    pub fn to_png(&self) -> Result<Zeroizing<Vec<u8>>, DrawError> {
        let failed = |error: png::EncodingError| DrawError::Code(format!("PNG: {error}"));
        let mut file = Zeroizing::new(Vec::with_capacity(self.bits.len() + 4_096));
        let mut encoder = png::Encoder::new(&mut *file, self.width, self.height);
        encoder.set_color(png::ColorType::Grayscale);
        encoder.set_depth(png::BitDepth::One);
        let density = self.dots_per_mm * 1_000;
        encoder.set_pixel_dims(Some(png::PixelDimensions {
            xppu: density,
            yppu: density,
            unit: png::Unit::Meter,
        }));
        let mut writer = encoder.write_header().map_err(failed)?;
        writer.write_image_data(&self.light()).map_err(failed)?;
        writer.finish().map_err(failed)?;
        Ok(file)
    }

    /// The label as PDF: one page of the label's size that is this picture.
    #[must_use]
    pub fn to_pdf(&self) -> Zeroizing<Vec<u8>> {
        let [catalog, pages, page, image, content] = [1, 2, 3, 4, 5].map(Ref::new);
        let name = Name(b"Label");
        let side = |dots: u32| dots as f32 / self.dots_per_mm as f32 * POINTS;
        let (width, height) = (side(self.width), side(self.height));
        // Room for all of it, since a buffer that grows leaves part of the picture behind.
        let mut pdf = Pdf::with_capacity(self.bits.len() + 4_096);
        pdf.catalog(catalog).pages(pages);
        pdf.pages(pages).kids([page]).count(1);
        let mut sheet = pdf.page(page);
        sheet.media_box(Rect::new(0.0, 0.0, width, height));
        sheet.parent(pages).contents(content);
        sheet.resources().x_objects().pair(name, image);
        sheet.finish();
        let light = self.light();
        let mut picture = pdf.image_xobject(image, &light);
        picture.width(self.width as i32).height(self.height as i32);
        picture.color_space().device_gray();
        picture.bits_per_component(1);
        picture.finish();
        let mut drawing = Content::new();
        drawing.transform([width, 0.0, 0.0, height, 0.0, 0.0]);
        drawing.x_object(name);
        pdf.stream(content, &drawing.finish());
        Zeroizing::new(pdf.finish())
    }

    /// The label as one graphic of ZPL II (`^GFA`), for printers whose fonts lack its letters.
    #[must_use]
    pub fn to_zpl(&self) -> Zeroizing<String> {
        let bytes = self.bits.len();
        let mut zpl = Zeroizing::new(String::with_capacity(bytes * 2 + 128));
        zpl.push_str(&format!(
            "^XA^PW{}^LL{}^LH0,0\n^FO0,0^GFA,{bytes},{bytes},{},",
            self.width,
            self.height,
            self.stride()
        ));
        for &byte in self.bits.iter() {
            for nibble in [byte >> 4, byte & 15] {
                zpl.push(char::from(b"0123456789ABCDEF"[usize::from(nibble)]));
            }
        }
        zpl.push_str("^FS\n^PQ1\n^XZ\n");
        zpl
    }

    /// The same with 1 for light, as pictures have it.
    fn light(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(self.bits.iter().map(|byte| !byte).collect())
    }
}
