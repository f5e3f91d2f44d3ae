package powercut

import (
	"context"
	"maps"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
)

// folder holds entries. The tree of inodes has those of now; synced and pending say what a cut leaves.
type folder struct {
	fs.Inode
	disk    *Disk
	synced  map[string]fs.InodeEmbedder
	pending []func(map[string]fs.InodeEmbedder) // since the last fsync, in order
}

var (
	_ fs.NodeOnAdder   = (*folder)(nil)
	_ fs.NodeCreater   = (*folder)(nil)
	_ fs.NodeMkdirer   = (*folder)(nil)
	_ fs.NodeUnlinker  = (*folder)(nil)
	_ fs.NodeRmdirer   = (*folder)(nil)
	_ fs.NodeRenamer   = (*folder)(nil)
	_ fs.NodeFsyncer   = (*folder)(nil)
	_ fs.NodeGetattrer = (*folder)(nil)
	_ fs.NodeSetattrer = (*folder)(nil)
	_ fs.NodeStatfser  = (*folder)(nil)
)

func (d *Disk) newFolder() *folder {
	return &folder{disk: d, synced: map[string]fs.InodeEmbedder{}}
}

// OnAdd puts what was loaded into the tree.
func (f *folder) OnAdd(ctx context.Context) {
	for name, n := range f.synced {
		mode := uint32(syscall.S_IFREG)
		if _, ok := n.(*folder); ok {
			mode = syscall.S_IFDIR
		}
		f.AddChild(name, f.NewPersistentInode(ctx, n, fs.StableAttr{Mode: mode}), false)
	}
}

func (f *folder) put(name string, n fs.InodeEmbedder) {
	f.pending = append(f.pending, func(m map[string]fs.InodeEmbedder) { m[name] = n })
}

func (f *folder) remove(name string) syscall.Errno {
	if !f.disk.begin() {
		return syscall.EIO
	}
	defer f.disk.mu.Unlock()
	f.pending = append(f.pending, func(m map[string]fs.InodeEmbedder) { delete(m, name) })
	return 0
}

func (f *folder) Create(ctx context.Context, name string, _, _ uint32, out *fuse.EntryOut) (*fs.Inode, fs.FileHandle, uint32, syscall.Errno) {
	if !f.disk.begin() {
		return nil, nil, 0, syscall.EIO
	}
	defer f.disk.mu.Unlock()
	n := &file{disk: f.disk, dirty: map[int]bool{}}
	f.put(name, n)
	out.Mode = syscall.S_IFREG | 0o600
	return f.NewPersistentInode(ctx, n, fs.StableAttr{Mode: syscall.S_IFREG}), nil, 0, 0
}

func (f *folder) Mkdir(ctx context.Context, name string, _ uint32, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	if !f.disk.begin() {
		return nil, syscall.EIO
	}
	defer f.disk.mu.Unlock()
	n := f.disk.newFolder()
	f.put(name, n)
	out.Mode = syscall.S_IFDIR | 0o700
	return f.NewPersistentInode(ctx, n, fs.StableAttr{Mode: syscall.S_IFDIR}), 0
}

func (f *folder) Unlink(_ context.Context, name string) syscall.Errno { return f.remove(name) }

func (f *folder) Rmdir(_ context.Context, name string) syscall.Errno { return f.remove(name) }

// Rename is one change: both names or none. Between folders it is not done, as between file systems.
func (f *folder) Rename(_ context.Context, name string, to fs.InodeEmbedder, newName string, flags uint32) syscall.Errno {
	if to.EmbeddedInode() != f.EmbeddedInode() || flags != 0 {
		return syscall.EXDEV
	}
	if !f.disk.begin() {
		return syscall.EIO
	}
	defer f.disk.mu.Unlock()
	child := f.GetChild(name)
	if child == nil {
		return syscall.ENOENT
	}
	n := child.Operations()
	f.pending = append(f.pending, func(m map[string]fs.InodeEmbedder) {
		delete(m, name)
		m[newName] = n
	})
	return 0
}

// Fsync saves the entries.
func (f *folder) Fsync(context.Context, fs.FileHandle, uint32) syscall.Errno {
	if !f.disk.begin() {
		return syscall.EIO
	}
	defer f.disk.mu.Unlock()
	synced := maps.Clone(f.synced)
	for _, change := range f.pending {
		change(synced)
	}
	f.synced, f.pending = synced, nil
	return 0
}

func (f *folder) Getattr(_ context.Context, _ fs.FileHandle, out *fuse.AttrOut) syscall.Errno {
	out.Mode = syscall.S_IFDIR | 0o700
	return 0
}

func (f *folder) Setattr(ctx context.Context, h fs.FileHandle, _ *fuse.SetAttrIn, out *fuse.AttrOut) syscall.Errno {
	return f.Getattr(ctx, h, out) // rights and times are not kept
}

func (f *folder) Statfs(_ context.Context, out *fuse.StatfsOut) syscall.Errno {
	*out = fuse.StatfsOut{Bsize: 4096, Frsize: 4096, Blocks: 1 << 20, Bfree: 1 << 19, Bavail: 1 << 19, Files: 1 << 16, Ffree: 1 << 15, NameLen: 255}
	return 0
}
