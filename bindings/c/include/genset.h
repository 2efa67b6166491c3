/* Written by cbindgen from the Rust in src/; to change this file, change that. */


#ifndef GENSET_H
#define GENSET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/**
 * genset: a generator where the dataset was. A dataset is opened from a recipe, samples of it come
 * by index, and loaders stream them as batches made ahead by threads.
 *
 * Handles. `genset_dataset`, `genset_loader`, `genset_batch` and `genset_error` are opaque. Whoever
 * got one frees it once, with the function whose name ends in `_free`; of NULL that does nothing.
 * They need not be freed in any order: a loader outlives its dataset, a batch its loader.
 *
 * Memory. What a function gives a pointer to (text, images, labels) belongs to the handle that it
 * was asked of, does not move, is not to be written to, and is there until the handle is freed. What
 * functions are given is read before they return, and not kept. All text is UTF-8 and ends with a
 * NUL. A program is built with the header of the library that it links: structs may grow.
 *
 * Errors. What can fail returns a `genset_status`. What it makes goes where a pointer says, and is
 * NULL, if it is a handle, after a failure. The last argument is where an error goes, to be freed by
 * the caller; it is NULL after success. Who does not want it passes NULL. A NULL where none may be,
 * text that is not UTF-8, and a defect of the library are errors like others; memory that the system
 * does not give ends the process. What cannot fail gives 0, false or NULL when it is asked of a NULL
 * handle.
 *
 * Threads. Datasets, batches and errors may be used by any number of threads at once. Of a loader
 * too; there one call waits for the other, but for `genset_loader_stop`, which never waits and may
 * be called in a signal handler. A handle is freed when no thread uses it any more. Handles are of
 * no use in a forked child, which may not free them either.
 */

/** What has no end: the length of an endless dataset, and the passes of a loader that goes on. */
#define GENSET_ENDLESS UINT64_MAX

/**
 * How a call went. Callers branch on it; messages are for people.
 */
typedef enum {
    /**
     * It is done.
     */
    GENSET_STATUS_OK = 0,
    /**
     * There is no further batch: all were delivered.
     */
    GENSET_STATUS_END,
    /**
     * A recipe that cannot be read, or that asks for something impossible.
     */
    GENSET_STATUS_RECIPE,
    /**
     * An ONNX file that is broken, hostile, or not a generator.
     */
    GENSET_STATUS_MODEL,
    /**
     * ONNX Runtime is missing, too old, built for another machine, or failed.
     */
    GENSET_STATUS_RUNTIME,
    /**
     * An execution provider that was asked for cannot run.
     */
    GENSET_STATUS_PROVIDER,
    /**
     * One sample could not be made, or holds a value that no image may have.
     */
    GENSET_STATUS_SAMPLE,
    /**
     * Something would need more memory, bytes or draws than its limit allows.
     */
    GENSET_STATUS_LIMIT,
    /**
     * A file or folder could not be read or written.
     */
    GENSET_STATUS_IO,
    /**
     * A thread of the library panicked, or a call did: a defect.
     */
    GENSET_STATUS_WORKER,
    /**
     * The work was asked to stop.
     */
    GENSET_STATUS_INTERRUPTED,
    /**
     * An argument that makes no sense: NULL, a rank outside the world, an empty batch.
     */
    GENSET_STATUS_ARGUMENT,
    /**
     * A saved state belongs to another dataset.
     */
    GENSET_STATUS_STATE,
    /**
     * A failure of a kind that this header does not know.
     */
    GENSET_STATUS_OTHER,
} genset_status;

/**
 * The type of each element of images.
 */
typedef enum {
    /**
     * `uint8_t`, 0 to 255.
     */
    GENSET_DTYPE_U8 = 0,
    /**
     * IEEE 754 half precision, 2 bytes.
     */
    GENSET_DTYPE_F16,
    /**
     * `float`.
     */
    GENSET_DTYPE_F32,
} genset_dtype;

/**
 * The order of the dimensions of images.
 */
typedef enum {
    /**
     * `[B, V, C, H, W]`.
     */
    GENSET_LAYOUT_NCHW = 0,
    /**
     * `[B, V, H, W, C]`.
     */
    GENSET_LAYOUT_NHWC,
} genset_layout;

/**
 * Samples with all their views. To free it gives its memory back to the loader.
 */
typedef struct genset_batch genset_batch;

/**
 * A dataset, generated or stored.
 */
typedef struct genset_dataset genset_dataset;

/**
 * What failed, where, and what to do about it.
 */
typedef struct genset_error genset_error;

/**
 * A stream of batches, made ahead by threads.
 */
typedef struct genset_loader genset_loader;

/**
 * What is set over a recipe, and how its generator runs. Begin with `genset_options_default`.
 */
typedef struct {
    /**
     * `key=value` settings put over the recipe, such as "samples=1000".
     */
    const char *const *settings;
    /**
     * How many there are. Default 0.
     */
    size_t settings_len;
    /**
     * Execution providers in order of preference, such as "cuda".
     */
    const char *const *providers;
    /**
     * How many there are. Default 0: the CPU.
     */
    size_t providers_len;
    /**
     * What is set on the providers: `provider.key=value`, such as "cuda.device_id=1".
     */
    const char *const *provider_options;
    /**
     * How many there are. Default 0.
     */
    size_t provider_options_len;
    /**
     * Threads inside one generator call. Default 0: as measured by `genset tune`, or else 1.
     */
    size_t threads;
    /**
     * Edits of the generator's graph: "auto", "none", or names with commas between them. Default
     * NULL: "auto".
     */
    const char *rewrites;
    /**
     * The library of ONNX Runtime, or the folder that it is in. Default NULL: it is looked for where
     * GENSET_ORT and ORT_DYLIB_PATH say, in genset's cache, and in the active Python. A process has
     * one.
     */
    const char *ort;
    /**
     * Whether ONNX Runtime is fetched into genset's cache if there is none, which is told on standard
     * error. Default false.
     */
    bool install;
    /**
     * Bytes of images that random access may keep of blocks that it has made, beside the last.
     * Default 0.
     */
    uint64_t random_access;
} genset_options;

/**
 * What the images of a sample are like, for one group of views.
 */
typedef struct {
    /**
     * Its name; empty where a recipe has one group without a name.
     */
    const char *name;
    /**
     * The type of each element.
     */
    genset_dtype dtype;
    /**
     * The order of dimensions.
     */
    genset_layout layout;
    /**
     * `[V, C, H, W]`, or `[V, H, W, C]`, as `layout` says.
     */
    size_t shape[4];
} genset_group;

/**
 * How a loader works, none of which changes a byte, and which part of the dataset it delivers. Begin
 * with `genset_loader_settings_default`.
 */
typedef struct {
    /**
     * Samples a batch. Default 256.
     */
    size_t batch;
    /**
     * Generator sessions, each on a thread of its own. Default 0: as measured by `genset tune`, or
     * else one for each core.
     */
    size_t workers;
    /**
     * Batches made ahead of the consumer. Default 4.
     */
    size_t prefetch;
    /**
     * Bytes that batches under way may take together. Default 512 MiB.
     */
    uint64_t memory;
    /**
     * Threads that share the making of views. Default 0: the workers make them.
     */
    size_t view_threads;
    /**
     * Whether `rank` and `world_size` are given. Default false: they are in the environment
     * variables RANK and WORLD_SIZE, or everything is delivered.
     */
    bool has_rank;
    /**
     * Which part is delivered, from 0.
     */
    uint64_t rank;
    /**
     * Of how many.
     */
    uint64_t world_size;
    /**
     * Whether `start` and `end` are given. Default false: all samples.
     */
    bool has_range;
    /**
     * The first sample of a pass.
     */
    uint64_t start;
    /**
     * The sample after its last.
     */
    uint64_t end;
    /**
     * Whether samples come in an order that is drawn anew for each pass; for stored samples alone.
     * Default false.
     */
    bool shuffle;
    /**
     * What the order is drawn from.
     */
    uint64_t shuffle_seed;
    /**
     * Whether the last, shorter step is left out. Default false.
     */
    bool drop_last;
    /**
     * Whether latents come with the images. Default false.
     */
    bool latents;
    /**
     * Whether stored samples are given as they lie in a memory map, where they can. Default false.
     */
    bool zero_copy;
    /**
     * Passes over the samples, or `GENSET_ENDLESS`. Default 1.
     */
    uint64_t epochs;
} genset_loader_settings;

/**
 * Where a loader is: everything that is needed to go on. Batch, workers, ranks and machine may be
 * others then.
 */
typedef struct {
    /**
     * The dataset: 64 hexadecimal digits, and a NUL.
     */
    char digest[65];
    /**
     * Passes that are complete.
     */
    uint64_t epoch;
    /**
     * All samples of this pass before this one have been delivered, over all ranks.
     */
    uint64_t next;
} genset_state;

/**
 * The images of a batch, of one group of views: contiguous, sample by sample, view by view.
 */
typedef struct {
    /**
     * The first element, at a multiple of 64 bytes unless `zero_copy` was set.
     */
    const void *data;
    /**
     * How many bytes they are.
     */
    size_t bytes;
    /**
     * The type of each element.
     */
    genset_dtype dtype;
    /**
     * The order of dimensions.
     */
    genset_layout layout;
    /**
     * `[B, V, C, H, W]`, or `[B, V, H, W, C]`, as `layout` says.
     */
    size_t shape[5];
} genset_images;

/**
 * The latents that each view of a batch was made from, contiguous.
 */
typedef struct {
    /**
     * The first number; NULL if there are none: they were not asked for, or nothing is generated.
     */
    const float *data;
    /**
     * `[B, V, Z]`, views of all groups after each other.
     */
    size_t shape[3];
} genset_latents;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * The version of the library, such as "0.1.0".
 */
const char *genset_version(void);

/**
 * What is meant where no options are given.
 */
genset_options genset_options_default(void);

/**
 * Opens what is at `path`: a recipe's file, `builtin:NAME`, a folder of shards, or real images.
 * `options` may be NULL.
 */
genset_status genset_dataset_open(const char *path,
                                  const genset_options *options,
                                  genset_dataset **dataset,
                                  genset_error **error);

/**
 * Opens the recipe whose text is `recipe`, with paths relative to `folder`. `options` may be NULL.
 */
genset_status genset_dataset_of_recipe(const char *recipe,
                                       const char *folder,
                                       const genset_options *options,
                                       genset_dataset **dataset,
                                       genset_error **error);

/**
 * Its name, for people.
 */
const char *genset_dataset_name(const genset_dataset *dataset);

/**
 * Its identity: BLAKE3 of recipe and model, as 64 hexadecimal digits.
 */
const char *genset_dataset_digest(const genset_dataset *dataset);

/**
 * How many samples it has; `GENSET_ENDLESS` if there is no end.
 */
uint64_t genset_dataset_len(const genset_dataset *dataset);

/**
 * The index of its first sample: 0 unless shards of a part were opened.
 */
uint64_t genset_dataset_first(const genset_dataset *dataset);

/**
 * Whether its samples have labels.
 */
bool genset_dataset_has_labels(const genset_dataset *dataset);

/**
 * How many classes have names; 0 also where labels have none.
 */
size_t genset_dataset_classes(const genset_dataset *dataset);

/**
 * The name of the class that `label` stands for; NULL if it has none.
 */
const char *genset_dataset_class_name(const genset_dataset *dataset, int64_t label);

/**
 * How many groups of views a sample has: so many tensors of images a batch has.
 */
size_t genset_dataset_groups(const genset_dataset *dataset);

/**
 * What the images of group `number` are like; the first is 0.
 */
genset_status genset_dataset_group(const genset_dataset *dataset,
                                   size_t number,
                                   genset_group *group,
                                   genset_error **error);

/**
 * The samples `indices`, in that order, with the views that they have in `epoch`, as one batch: the
 * same bytes that any loader delivers. One call works at a time.
 */
genset_status genset_dataset_gather(const genset_dataset *dataset,
                                    const uint64_t *indices,
                                    size_t len,
                                    uint64_t epoch,
                                    genset_batch **batch,
                                    genset_error **error);

/**
 * Sample `index`, with the views that it has in `epoch`, as a batch of one.
 */
genset_status genset_dataset_get(const genset_dataset *dataset,
                                 uint64_t index,
                                 uint64_t epoch,
                                 genset_batch **batch,
                                 genset_error **error);

/**
 * Frees a dataset.
 */
void genset_dataset_free(genset_dataset *dataset);

/**
 * What is meant where no settings are given.
 */
genset_loader_settings genset_loader_settings_default(void);

/**
 * Loads the sessions and starts the threads of a loader. `settings` may be NULL, and so may `resume`:
 * it then begins at the beginning, and otherwise goes on where another loader was.
 */
genset_status genset_loader_new(const genset_dataset *dataset,
                                const genset_loader_settings *settings,
                                const genset_state *resume,
                                genset_loader **loader,
                                genset_error **error);

/**
 * The next batch; `GENSET_STATUS_END` after the last. After a failure it is the same failure again.
 */
genset_status genset_loader_next(genset_loader *loader, genset_batch **batch, genset_error **error);

/**
 * Where it is. Counts batches that were handed out, not what was made ahead.
 */
genset_status genset_loader_state(const genset_loader *loader,
                                  genset_state *state,
                                  genset_error **error);

/**
 * How many samples were left out so far, as they could not be read and the recipe says
 * `on-bad = "skip"`.
 */
genset_status genset_loader_skipped(const genset_loader *loader,
                                    uint64_t *skipped,
                                    genset_error **error);

/**
 * Ends a loader, also while another thread waits for a batch: that gets
 * `GENSET_STATUS_INTERRUPTED`. Sets one atomic flag: may be called by any thread, and by a signal
 * handler.
 */
void genset_loader_stop(const genset_loader *loader);

/**
 * Frees a loader, when its threads have ended: after one generator call at most.
 */
void genset_loader_free(genset_loader *loader);

/**
 * How many samples it has: B.
 */
size_t genset_batch_len(const genset_batch *batch);

/**
 * The pass over the dataset that it belongs to; the first is 0.
 */
uint64_t genset_batch_epoch(const genset_batch *batch);

/**
 * The index of each sample, `[B]`.
 */
const uint64_t *genset_batch_index(const genset_batch *batch);

/**
 * The class of each sample, `[B]`, -1 for one without; NULL if the dataset has no classes.
 */
const int64_t *genset_batch_labels(const genset_batch *batch);

/**
 * The images of group `number`; the first is 0, and there is always one.
 */
genset_status genset_batch_images(const genset_batch *batch,
                                  size_t number,
                                  genset_images *images,
                                  genset_error **error);

/**
 * The latents of each view.
 */
genset_status genset_batch_latents(const genset_batch *batch,
                                   genset_latents *latents,
                                   genset_error **error);

/**
 * Frees a batch.
 */
void genset_batch_free(genset_batch *batch);

/**
 * The status that came with the error; that of success for NULL.
 */
genset_status genset_error_status(const genset_error *error);

/**
 * What failed and where.
 */
const char *genset_error_message(const genset_error *error);

/**
 * The next step to take; NULL if none is known.
 */
const char *genset_error_advice(const genset_error *error);

/**
 * Whether one sample is at fault, whose index goes to `sample` unless that is NULL.
 */
bool genset_error_sample(const genset_error *error, uint64_t *sample);

/**
 * Frees an error.
 */
void genset_error_free(genset_error *error);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* GENSET_H */
