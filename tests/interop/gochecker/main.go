// Command gochecker checks a tlog-tiles log on disk or over HTTP with the note and tlog packages of the Go project, which
// share no code with this one.
//
//	gochecker LOGDIR|URL VKEY [OLDER-CHECKPOINT ...]
//
// It opens the checkpoint, authenticates every tile against its root, compares every entry with its leaf hash, proves
// and checks inclusion and consistency, and does the latter from each older checkpoint given.
package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const (
	height        = 8 // of a C2SP tile: 256 hashes
	width         = 1 << height
	provenAllMax  = 4096 // above it, that many inclusion proofs are spread over the log
	responseMax   = 1 << 25
	olderSizesMax = 64   // consistency proofs from older sizes, spread over the log
)

func main() {
	if len(os.Args) < 3 {
		fmt.Fprintln(os.Stderr, "usage: gochecker LOGDIR|URL VKEY [OLDER-CHECKPOINT ...]")
		os.Exit(2)
	}
	line, err := check(os.Args[1], os.Args[2], os.Args[3:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "gochecker:", err)
		os.Exit(1)
	}
	fmt.Println(line)
}

// source gives the file at a path of the log; fs.ErrNotExist where there is none.
type source func(path string) ([]byte, error)

func folder(dir string) source {
	return func(path string) ([]byte, error) { return os.ReadFile(filepath.Join(dir, path)) }
}

// served reads below a URL. The client asks for gzip by itself and inflates what comes.
func served(url string) source {
	client := &http.Client{Timeout: 30 * time.Second}
	return func(path string) ([]byte, error) {
		response, err := client.Get(strings.TrimSuffix(url, "/") + "/" + path)
		if err != nil {
			return nil, err
		}
		defer response.Body.Close()
		data, err := io.ReadAll(io.LimitReader(response.Body, responseMax))
		if err != nil {
			return nil, err
		}
		want := "application/octet-stream"
		if path == "checkpoint" {
			want = "text/plain; charset=utf-8"
		}
		switch got := response.Header.Get("Content-Type"); {
		case response.StatusCode == http.StatusNotFound:
			return nil, fs.ErrNotExist
		case response.StatusCode != http.StatusOK:
			return nil, fmt.Errorf("%s: %s", path, response.Status)
		case got != want:
			return nil, fmt.Errorf("%s is served as %q", path, got)
		}
		return data, nil
	}
}

func check(location, vkey string, older []string) (string, error) {
	get := folder(location)
	if strings.HasPrefix(location, "http://") {
		get = served(location)
	}
	note, err := get("checkpoint")
	if err != nil {
		return "", err
	}
	tree, err := openCheckpoint(note, vkey)
	if err != nil {
		return "", err
	}
	hashes := tlog.TileHashReader(tree, &tileReader{get, map[string][]byte{}})
	if tree.N > 0 {
		root, err := tlog.TreeHash(tree.N, hashes)
		if err != nil {
			return "", err
		}
		if root != tree.Hash {
			return "", errors.New("the tiles do not lead to the root of the checkpoint")
		}
	} else if empty, _ := tlog.TreeHash(0, hashes); empty != tree.Hash {
		return "", errors.New("the root of the checkpoint is not that of an empty tree")
	}
	if err := checkEntries(get, tree, hashes); err != nil {
		return "", err
	}
	proven, err := checkInclusion(tree, hashes)
	if err != nil {
		return "", err
	}
	consistent, err := checkConsistency(tree, hashes, vkey, older)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("ok size=%d root=%v inclusion=%d consistency=%d", tree.N, tree.Hash, proven, consistent), nil
}

// openCheckpoint verifies the note by the key and takes its three lines: origin, size, root.
func openCheckpoint(data []byte, vkey string) (tlog.Tree, error) {
	var tree tlog.Tree
	verifier, err := note.NewVerifier(vkey)
	if err != nil {
		return tree, err
	}
	opened, err := note.Open(data, note.VerifierList(verifier))
	if err != nil {
		return tree, err
	}
	lines := strings.Split(opened.Text, "\n")
	if len(lines) != 4 || lines[3] != "" {
		return tree, errors.New("the checkpoint does not have three lines")
	}
	if lines[0] != verifier.Name() {
		return tree, fmt.Errorf("the origin %q is not the name of the key", lines[0])
	}
	if _, err := fmt.Sscanf(lines[1], "%d", &tree.N); err != nil || fmt.Sprint(tree.N) != lines[1] || tree.N < 0 {
		return tree, fmt.Errorf("%q is not a size", lines[1])
	}
	tree.Hash, err = tlog.ParseHash(lines[2])
	return tree, err
}

// checkEntries compares each entry with its leaf hash, which the reader has authenticated against the root.
func checkEntries(get source, tree tlog.Tree, hashes tlog.HashReader) error {
	for start := int64(0); start < tree.N; start += width {
		count := min(width, tree.N-start)
		entries, err := readBundle(get, start/width, int(count))
		if err != nil {
			return err
		}
		indexes := make([]int64, count)
		for i := range indexes {
			indexes[i] = tlog.StoredHashIndex(0, start+int64(i))
		}
		leaves, err := hashes.ReadHashes(indexes)
		if err != nil {
			return err
		}
		for i, entry := range entries {
			if tlog.RecordHash(entry) != leaves[i] {
				return fmt.Errorf("entry %d is not what its leaf hash says", start+int64(i))
			}
		}
	}
	return nil
}

func checkInclusion(tree tlog.Tree, hashes tlog.HashReader) (int, error) {
	proven := 0
	step := max(1, tree.N/provenAllMax)
	for index := int64(0); index < tree.N; index += step {
		leaf, err := hashes.ReadHashes([]int64{tlog.StoredHashIndex(0, index)})
		if err != nil {
			return 0, err
		}
		proof, err := tlog.ProveRecord(tree.N, index, hashes)
		if err != nil {
			return 0, err
		}
		if err := tlog.CheckRecord(proof, tree.N, tree.Hash, index, leaf[0]); err != nil {
			return 0, fmt.Errorf("inclusion of entry %d: %w", index, err)
		}
		proven++
	}
	return proven, nil
}

// checkConsistency proves older sizes from the tiles alone, and then each older checkpoint that was kept elsewhere.
func checkConsistency(tree tlog.Tree, hashes tlog.HashReader, vkey string, older []string) (int, error) {
	var trees []tlog.Tree
	for size := int64(1); size < tree.N; size += max(1, tree.N/olderSizesMax) {
		root, err := tlog.TreeHash(size, hashes)
		if err != nil {
			return 0, err
		}
		trees = append(trees, tlog.Tree{N: size, Hash: root})
	}
	for _, path := range older {
		data, err := os.ReadFile(path)
		if err != nil {
			return 0, err
		}
		kept, err := openCheckpoint(data, vkey)
		if err != nil {
			return 0, fmt.Errorf("%s: %w", path, err)
		}
		if kept.N > tree.N {
			return 0, fmt.Errorf("%s has size %d: the log was rolled back to %d", path, kept.N, tree.N)
		}
		if kept.N > 0 {
			trees = append(trees, kept)
		}
	}
	for _, old := range trees {
		proof, err := tlog.ProveTree(tree.N, old.N, hashes)
		if err != nil {
			return 0, err
		}
		if err := tlog.CheckTree(proof, tree.N, tree.Hash, old.N, old.Hash); err != nil {
			return 0, fmt.Errorf("consistency from size %d: %w", old.N, err)
		}
	}
	return len(trees), nil
}

// readBundle reads exactly count entries, each after its length as uint16.
func readBundle(get source, index int64, count int) ([][]byte, error) {
	path := "tile/entries/" + number(index, count)
	data, err := get(path)
	if err != nil {
		return nil, err
	}
	var entries [][]byte
	for len(entries) < count {
		if len(data) < 2 || len(data)-2 < int(binary.BigEndian.Uint16(data)) {
			return nil, fmt.Errorf("%s is cut", path)
		}
		end := 2 + int(binary.BigEndian.Uint16(data))
		entries = append(entries, data[2:end])
		data = data[end:]
	}
	if len(data) > 0 {
		return nil, fmt.Errorf("%s has %d bytes too many", path, len(data))
	}
	return entries, nil
}

// tileReader reads tiles from the paths of C2SP tlog-tiles.
type tileReader struct {
	get  source
	read map[string][]byte // each tile is fetched once
}

func (r *tileReader) Height() int { return height }

func (r *tileReader) SaveTiles([]tlog.Tile, [][]byte) {}

func (r *tileReader) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	var read [][]byte
	for _, tile := range tiles {
		path := fmt.Sprintf("tile/%d/%s", tile.L, number(tile.N, tile.W))
		if data, ok := r.read[path]; ok {
			read = append(read, data)
			continue
		}
		data, err := r.get(path)
		if errors.Is(err, fs.ErrNotExist) && tile.W < width {
			// A partial tile may be gone once the full one exists.
			full := fmt.Sprintf("tile/%d/%s", tile.L, number(tile.N, width))
			if data, err = r.get(full); err == nil && len(data) == width*tlog.HashSize {
				data = data[:tile.W*tlog.HashSize]
			}
		}
		if err != nil {
			return nil, err
		}
		if len(data) != tile.W*tlog.HashSize {
			return nil, fmt.Errorf("%s has %d bytes, not %d", path, len(data), tile.W*tlog.HashSize)
		}
		r.read[path] = data
		read = append(read, data)
	}
	return read, nil
}

// number writes a tile's index in groups of three digits, and its width where it is partial.
func number(index int64, w int) string {
	text := fmt.Sprintf("%03d", index%1000)
	for index /= 1000; index > 0; index /= 1000 {
		text = fmt.Sprintf("x%03d/%s", index%1000, text)
	}
	if w < width {
		text += fmt.Sprintf(".p/%d", w)
	}
	return text
}
