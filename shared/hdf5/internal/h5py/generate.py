"""Writes HDF5 files of many shapes. Usage: generate.py DIR SHAPE...

Each function below is a shape; the file is DIR/SHAPE.h5. Values are pseudo-random
but the same on each run.
"""
import sys
import h5py
import numpy as np

T0 = 1795422415
U, F = '<u8', '<f8'
TASK = [('ElapsedTime', U), ('EpochTime', U), ('CPUFrequency', U), ('CPUTime', F), ('CPUUtilization', F),
        ('RSS', U), ('VMSize', U), ('Pages', U), ('ReadMB', F), ('WriteMB', F)]
ENERGY = [('ElapsedTime', U), ('EpochTime', U), ('Power', U)]
NETWORK = [('ElapsedTime', U), ('EpochTime', U), ('PacketsIn', U), ('PacketsOut', U), ('InMB', F), ('OutMB', F)]
FILESYSTEM = [('ElapsedTime', U), ('EpochTime', U), ('Reads', U), ('ReadMB', F), ('Writes', U), ('WriteMB', F)]


def table(dtype, n, seed=1):
    rng = np.random.default_rng(seed)
    a = np.zeros(n, dtype=dtype)
    for name in a.dtype.names:
        kind = a.dtype[name].kind
        if name == 'ElapsedTime':
            a[name] = np.arange(n)
        elif name == 'EpochTime':
            a[name] = T0 + np.arange(n)
        elif kind == 'f':
            a[name] = rng.random(n) * 100
        elif kind in 'ui':
            a[name] = rng.integers(0, 100, n)
        elif kind == 'S':
            a[name] = [b'row %d' % i for i in range(n)]
    return a


def put(group, name, data, level=0, chunk=10, **more):
    group.create_dataset(name, data=data, chunks=(chunk,), maxshape=(None,), compression='gzip', compression_opts=level, **more)


def text(value):
    return np.array([value], dtype='S%d' % len(value))


def node(parent, name, tasks=1, index=0):
    g = parent.create_group(name)
    g.attrs.create('Node Name', text(name))
    g.attrs.create('Node Index', np.array([index], dtype='<i4'))
    g.attrs.create('Number of Tasks', np.array([tasks], dtype='<i4'))
    g.attrs.create('CPUs per Task', np.array([1], dtype='<i4'))
    g.attrs.create('Start Time', text('Mon Nov 23 08:19:34 2026'))
    return g


def just_opened(f):
    node(f, 'n1')


def deflate_shuffle(f):
    g = node(f, 'n1').create_group('Tasks')
    put(g, '0', table(TASK, 5000), level=6, chunk=100, shuffle=True)
    put(g, '1', table(TASK, 33, 2), level=9, chunk=7, shuffle=True)
    put(g, '2', table(TASK, 33, 3), level=1)
    g.create_dataset('3', data=table(TASK, 20, 4), chunks=(6,), shuffle=True)
    g.create_dataset('4', data=table(TASK, 20, 5), chunks=(6,))


def many_tasks(f):
    n = node(f, 'n1', tasks=1000)
    g = n.create_group('Tasks')
    for i in range(1000):
        put(g, str(i), table(TASK, 12, i))
    put(n, 'Energy', table(ENERGY, 12))


def long_task(f):
    put(node(f, 'n1').create_group('Tasks'), '0', table(TASK, 100000))


def bench_tasks(f):
    put(node(f, 'n1').create_group('Tasks'), '0', table(TASK, 500000))


def bench_deflated(f):
    put(node(f, 'n1').create_group('Tasks'), '0', table(TASK, 500000), level=6)


def merged(f):
    f.attrs.create('Number of Steps', np.array([3], dtype='<i4'))
    for s, step in enumerate(['0', '10', 'batch', '2']):
        g = f.create_group('Steps/' + step)
        g.attrs.create('Number of Nodes', np.array([2], dtype='<i4'))
        nodes = g.create_group('Nodes')
        for i, name in enumerate(['n1', 'n2']):
            n = node(nodes, name, index=i)
            put(n.create_group('Tasks'), str(i), table(TASK, 15 + i, s))
            put(n, 'Energy', table(ENERGY, 14 + i, s))
            put(n, 'Network', table(NETWORK, 14 + i, s))
            put(n, 'Filesystem', table(FILESYSTEM, 14 + i, s))


def odd_members(f):
    n = node(f, 'n1')
    g = n.create_group('Tasks')
    put(g, '0', table([('RSS', U), ('EpochTime', U)], 25))
    enum = h5py.enum_dtype({'RUN': 0, 'STOP': 1}, basetype='i1')
    extra = [('Mood', enum), ('Vector', ('<f4', (3,))), ('Inner', [('a', '<i2'), ('b', U)]), ('Big', '>u4')]
    put(g, '1', table(TASK[::-1], 25))
    d = np.zeros(25, dtype=extra + TASK + [('Label', 'S12')])
    d['RSS'], d['EpochTime'] = np.arange(25) * 4, T0 + np.arange(25)
    put(g, '2', d)


def small_types(f):
    names = [('u1', '<u1'), ('i1', '<i1'), ('u2', '<u2'), ('i2', '<i2'), ('u4', '<u4'), ('i4', '<i4'), ('u8', U), ('i8', '<i8'),
             ('f4', '<f4'), ('f8', F), ('s', 'S12')]
    a = table(names, 50)
    a['i1'], a['i2'], a['i4'], a['i8'] = -np.arange(50), -np.arange(50) * 300, -np.arange(50) * 70000, -np.arange(50) * 2**40
    a['u8'] = np.arange(50, dtype='<u8') * 2**57
    put(f, 'mixed', a)
    for name, kind in names:
        put(f, name, a[name], level=4, shuffle=True)


def layouts(f):
    f.create_dataset('contiguous', data=table(TASK, 3000))
    f.create_dataset('contiguous_unwritten', shape=(9,), dtype=U)
    f.create_dataset('empty', shape=(0,), maxshape=(None,), chunks=(10,), dtype=U)
    f.create_dataset('numbers', data=np.arange(100000, dtype='<f4'))
    fill = f.create_dataset('holes', shape=(1000,), maxshape=(None,), chunks=(10,), dtype=U, fillvalue=77, compression='gzip')
    fill[205:215] = np.arange(10)
    fill[995:] = 5
    shrunk = f.create_dataset('shrunk', data=np.arange(95, dtype=U), maxshape=(None,), chunks=(10,))
    shrunk.resize((42,))
    compact = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    compact.set_layout(h5py.h5d.COMPACT)
    space = h5py.h5s.create_simple((20,))
    h5py.h5d.create(f.id, b'compact', h5py.h5t.NATIVE_UINT64, space, compact).write(space, space, np.arange(20, dtype=U))


def attributes(f):
    f.attrs['variable'] = 'text of variable length'
    f.attrs['empty'] = ''
    f.attrs['several'] = ['a', 'bc', 'def']
    f.attrs['float'] = 1.5
    f.attrs['single'] = np.float32(0.1)
    f.attrs['list'] = np.arange(300, dtype='<i8') - 150
    f.attrs['unsigned'] = np.uint64(2**64 - 1)
    f.attrs['fixed'] = np.array([b'ab', b'c'], dtype='S4')
    for i in range(40):
        f.attrs['more %d' % i] = i


def userblock(f):
    put(f, 'x', table(ENERGY, 30))


def cases(f):
    """Slurm's traps: sentinels, duplicates, gaps, zeros, unequal lengths."""
    n = node(f, 'n1')
    gpu = TASK + [('GPUMemMB', U), ('GPUUtilization', F)]
    t = np.zeros(4, dtype=gpu)
    t['EpochTime'], t['ElapsedTime'] = T0 + np.array([0, 30, 60, 60]), [0, 30, 60, 60]
    t['GPUMemMB'] = [17592186044415, 0, 1024, 1024]
    t['GPUUtilization'] = [1.84467e19, 0, 37.5, 37.5]
    t['RSS'] = [2**64 - 1, 2**64 - 2, 1000, 1000]
    t['VMSize'] = [18014398509481983, 5, 6, 6]
    t['ReadMB'] = [float(2**64) / 2**20, 0.5, 1, 1]
    t['CPUFrequency'] = [4294967294, 2596, 2596, 2596]
    t['CPUTime'] = [-1e300, float('-inf'), float('inf'), 2.5]
    g = n.create_group('Tasks')
    put(g, '10', t)
    put(g, '9', t[:2])
    e = np.zeros(6, dtype=ENERGY)
    e['EpochTime'] = T0 + np.array([0, 0, 10, 20, 30, 100])
    e['Power'] = [0, 0, 100, 0, 100, 4294967294]
    put(n, 'Energy', e)
    w = np.zeros(3, dtype=NETWORK)
    w['EpochTime'] = T0 + np.arange(3)
    w['PacketsIn'], w['InMB'] = [0, 150000, 300000], np.array([0, 100, 200]) / 65536
    put(n, 'Network', w)


def hard_links(f):
    g = node(f, 'n1').create_group('Tasks')
    put(g, '0', table(TASK, 5000))
    for i in range(1, 3000):
        g[str(i)] = g['0']


def unknown_child(f):
    n = node(f, 'n1')
    put(n, 'Energy', table(ENERGY, 5))
    put(n, 'Fans', table(ENERGY, 5))


def interleaved(f):
    """Grows 120 tasks in turn, as Slurm does: neighbouring chunks are of different tasks."""
    g = node(f, 'n1', tasks=120).create_group('Tasks')
    tables = [table(TASK, 100, i) for i in range(120)]
    sets = [g.create_dataset(str(i), shape=(0,), maxshape=(None,), chunks=(10,), dtype=TASK, compression='gzip', compression_opts=0)
            for i in range(120)]
    for row in range(0, 100, 10):
        for t, d in zip(tables, sets):
            d.resize((row + 10,))
            d[row:] = t[row:row + 10]


def rank_two(f):
    f.create_dataset('x', data=np.zeros((4, 5)))


def big_endian(f):
    f.create_dataset('x', data=np.arange(5, dtype='>u4'))


def fletcher(f):
    f.create_dataset('x', data=np.arange(50), chunks=(10,), fletcher32=True)


def lzf(f):
    f.create_dataset('x', data=np.arange(50), chunks=(10,), compression='lzf')


def latest(f):
    put(node(f, 'n1').create_group('Tasks'), '0', table(TASK, 20))


def soft_link(f):
    put(f, 'x', table(ENERGY, 5))
    f['y'] = h5py.SoftLink('/x')


def loop(f):
    g = f.create_group('a/b')
    g['again'] = f['/']
    put(g, 'x', table(ENERGY, 5))


def bomb(f):
    f.create_dataset('x', data=np.zeros(2**24, dtype='<u8'), chunks=(2**24,), compression='gzip', compression_opts=9)


OPTIONS = {'latest': {'libver': 'latest'}, 'userblock': {'userblock_size': 1024}}

for shape in sys.argv[2:]:
    with h5py.File('%s/%s.h5' % (sys.argv[1], shape), 'w', **OPTIONS.get(shape, {})) as f:
        globals()[shape](f)
