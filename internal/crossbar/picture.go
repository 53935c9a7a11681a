package crossbar

import (
	"bytes"
	"context"
	"encoding/binary"
	"image"
	"image/jpeg"
	"image/png"

	"golang.org/x/image/draw"
)

const (
	maxPhoto       = 5 << 20    // bytes of an upload
	maxPhotoPixels = 40_000_000 // of an upload: width times height
	maxPhotoScans  = 50         // of a progressive JPEG: each may take a few bytes and walk over all the pixels; cameras make some ten
	photoSide      = 640        // most pixels of a side of what is kept
	photoQuality   = 85         // of a JPEG
	stripRows      = 32         // that are scaled at once: what that takes grows with the strip
)

// darkroom makes pictures smaller, one at a time: the largest takes some 300 MB meanwhile.
type darkroom struct{ turn chan struct{} }

func newDarkroom() *darkroom { return &darkroom{make(chan struct{}, 1)} }

var startOfScan = []byte{0xff, 0xda} // which nothing that a scan holds has in it

// develop returns a JPEG or PNG anew: upright, at most photoSide wide and high, and without what a camera wrote beside it, such as
// where it was. The same picture gives the same bytes. Its dimensions have been judged.
func (d *darkroom) develop(ctx context.Context, picture []byte, kind string) ([]byte, error) {
	if kind == "jpeg" && bytes.Count(picture, startOfScan) > maxPhotoScans {
		return nil, unsupported("the picture has too many scans; " + photoAllowed)
	}
	select {
	case d.turn <- struct{}{}:
		defer func() { <-d.turn }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	from, _, err := image.Decode(bytes.NewReader(picture))
	if err != nil {
		return nil, unsupported("the picture is damaged; " + photoAllowed)
	}
	small := shrink(from)
	var out bytes.Buffer
	if kind == "png" {
		err = png.Encode(&out, small)
	} else {
		err = jpeg.Encode(&out, turned(small, orientation(picture)), &jpeg.Options{Quality: photoQuality})
	}
	return out.Bytes(), err
}

// shrink scales strip by strip: scaling all at once would take as much memory again as the picture.
func shrink(from image.Image) *image.NRGBA {
	size := from.Bounds().Size()
	width, height := size.X, size.Y
	if longest := max(width, height); longest > photoSide {
		width, height = max(1, width*photoSide/longest), max(1, height*photoSide/longest)
	}
	to := image.NewNRGBA(image.Rect(0, 0, width, height))
	for y := 0; y < height; y += stripRows {
		end := min(y+stripRows, height)
		source := image.Rect(0, y*size.Y/height, size.X, end*size.Y/height).Add(from.Bounds().Min)
		draw.BiLinear.Scale(to, image.Rect(0, y, width, end), from, source, draw.Src, nil)
	}
	return to
}

// turned is a picture as its orientation says that it is to be seen, 1 to 8.
func turned(from *image.NRGBA, orientation int) *image.NRGBA {
	width, height := from.Rect.Dx(), from.Rect.Dy()
	if orientation < 2 || orientation > 8 {
		return from
	}
	to := image.NewNRGBA(image.Rect(0, 0, width, height))
	if orientation >= 5 {
		to = image.NewNRGBA(image.Rect(0, 0, height, width))
	}
	for y := range height {
		for x := range width {
			tx, ty := x, y
			switch orientation {
			case 2:
				tx = width - 1 - x
			case 3:
				tx, ty = width-1-x, height-1-y
			case 4:
				ty = height - 1 - y
			case 5:
				tx, ty = y, x
			case 6:
				tx, ty = height-1-y, x
			case 7:
				tx, ty = height-1-y, width-1-x
			case 8:
				tx, ty = y, width-1-x
			}
			to.SetNRGBA(tx, ty, from.NRGBAAt(x, y))
		}
	}
	return to
}

// orientation is what a JPEG's Exif block says of how the camera was held, 1 (upright) when there is none.
func orientation(picture []byte) int {
	rest := picture[min(2, len(picture)):]
	for len(rest) >= 4 && rest[0] == 0xff && rest[1] >= 0xe0 && rest[1] <= 0xef || len(rest) >= 4 && rest[0] == 0xff && rest[1] == 0xfe {
		size := int(binary.BigEndian.Uint16(rest[2:])) + 2
		if size < 4 || size > len(rest) {
			return 1
		}
		if block := rest[4:size]; rest[1] == 0xe1 && bytes.HasPrefix(block, []byte("Exif\x00\x00")) {
			return exifOrientation(block[6:])
		}
		rest = rest[size:]
	}
	return 1
}

// exifOrientation reads the entry 0x0112 of the first directory of a TIFF.
func exifOrientation(tiff []byte) int {
	if len(tiff) < 8 {
		return 1
	}
	var order binary.ByteOrder = binary.BigEndian
	if tiff[0] == 'I' {
		order = binary.LittleEndian
	}
	at := int(order.Uint32(tiff[4:]))
	if at < 8 || at > len(tiff)-2 {
		return 1
	}
	entries := tiff[at+2:]
	for range order.Uint16(tiff[at:]) {
		if len(entries) < 12 {
			break
		}
		if order.Uint16(entries) == 0x0112 {
			return int(order.Uint16(entries[8:]))
		}
		entries = entries[12:]
	}
	return 1
}
