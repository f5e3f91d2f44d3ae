package powercut

import (
	"context"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
)

// file is a regular file: what it holds now, what it held at its last fsync, and the sectors written since.
type file struct {
	fs.Inode
	disk   *Disk
	live   []byte
	synced []byte
	dirty  map[int]bool
}

var (
	_ fs.NodeOpener    = (*file)(nil)
	_ fs.NodeReader    = (*file)(nil)
	_ fs.NodeWriter    = (*file)(nil)
	_ fs.NodeFsyncer   = (*file)(nil)
	_ fs.NodeGetattrer = (*file)(nil)
	_ fs.NodeSetattrer = (*file)(nil)
	_ fs.NodeAllocater = (*file)(nil)
)

func (f *file) Open(context.Context, uint32) (fs.FileHandle, uint32, syscall.Errno) {
	if !f.disk.begin() {
		return nil, 0, syscall.EIO
	}
	f.disk.mu.Unlock()
	return nil, 0, 0
}

func (f *file) Read(_ context.Context, _ fs.FileHandle, dest []byte, off int64) (fuse.ReadResult, syscall.Errno) {
	if !f.disk.begin() {
		return nil, syscall.EIO
	}
	defer f.disk.mu.Unlock()
	if off >= int64(len(f.live)) {
		return fuse.ReadResultData(nil), 0
	}
	n := copy(dest, f.live[off:])
	return fuse.ReadResultData(dest[:n]), 0
}

func (f *file) Write(_ context.Context, _ fs.FileHandle, data []byte, off int64) (uint32, syscall.Errno) {
	if !f.disk.begin() {
		return 0, syscall.EIO
	}
	defer f.disk.mu.Unlock()
	end := int(off) + len(data)
	if end > len(f.live) {
		f.touch(len(f.live), end)
		f.live = resized(f.live, end)
	}
	copy(f.live[off:], data)
	f.touch(int(off), end)
	return uint32(len(data)), 0
}

// touch notes that the bytes from until to were written.
func (f *file) touch(from, to int) {
	for n := from / sector; n*sector < to; n++ {
		f.dirty[n] = true
	}
}

// Fsync saves content and size, not the entry in the folder. fdatasync comes here too.
func (f *file) Fsync(context.Context, fs.FileHandle, uint32) syscall.Errno {
	if !f.disk.begin() {
		return syscall.EIO
	}
	defer f.disk.mu.Unlock()
	f.synced = resized(f.synced, len(f.live))
	for n := range f.dirty {
		if n*sector < len(f.live) {
			copy(f.synced[n*sector:], f.live[n*sector:min(len(f.live), (n+1)*sector)])
		}
	}
	clear(f.dirty)
	return 0
}

func (f *file) Getattr(_ context.Context, _ fs.FileHandle, out *fuse.AttrOut) syscall.Errno {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	out.Mode, out.Size, out.Nlink = syscall.S_IFREG|0o600, uint64(len(f.live)), 1
	out.Blocks = (out.Size + sector - 1) / sector
	return 0
}

// Setattr knows the size; rights and times are not kept.
func (f *file) Setattr(ctx context.Context, h fs.FileHandle, in *fuse.SetAttrIn, out *fuse.AttrOut) syscall.Errno {
	if size, ok := in.GetSize(); ok {
		if !f.disk.begin() {
			return syscall.EIO
		}
		f.touch(min(len(f.live), int(size)), max(len(f.live), int(size)))
		f.live = resized(f.live, int(size))
		f.disk.mu.Unlock()
	}
	return f.Getattr(ctx, h, out)
}

func (f *file) Allocate(_ context.Context, _ fs.FileHandle, off, size uint64, _ uint32) syscall.Errno {
	if !f.disk.begin() {
		return syscall.EIO
	}
	defer f.disk.mu.Unlock()
	if end := int(off + size); end > len(f.live) {
		f.touch(len(f.live), end)
		f.live = resized(f.live, end)
	}
	return 0
}
