"""What `superres COMMAND --help` says at length."""

ABOUT = """\
Super-resolution (2x, 4x, 8x) with D-DBPN: train it, fine-tune it, judge it, use it.

The usual order, with the photographs that come with scikit-image and scikit-learn:
  superres prepare  --out data
  superres pretrain --data data --out start
  superres finetune --from start --data data --out tuned \\
                    --w-mse 1e-2 --w-vgg 1e-1 --w-adv 1e-3 --w-style 10
  superres evaluate --checkpoint tuned --data data
  superres upscale  --checkpoint tuned --out big photo.jpg
"""

METRICS = """\
The metrics follow the PIRM 2018 challenge: luma of 8-bit images, 4 pixels shaved off.
niqe, psnr and ssim are means over the test images, rmse (in grey levels) is the root of the mean
squared error; lower niqe looks more natural, lower rmse is nearer to the original. With the
model of Ma's score there are also its mean ma and the perceptual index pi = ((10 - ma) + niqe) / 2.
The last line of the output, and --result FILE, is {"niqe": .., "rmse": .., "psnr": .., ...}.
Exit codes: 0 done, 2 a mistake in the arguments or files, 3 the training diverged (no result), 143
or 130 it was asked to stop by SIGTERM or Ctrl-C (the same command continues a training run).
"""

PREPARE = """\
Decode photographs once into tiles for training and whole images for testing.

Without --photos, the photographs inside the packages scikit-image and scikit-learn are used.
With --photos alone, whole photographs are held out for the test, one in five.
Low resolution is made by antialiased bicubic reduction, Pillow's or that of MATLAB's imresize to
the last bit, sides being cut to multiples of the scale; networks take their scale from the data
that they are trained on. JPEG files of 1000 pixels and more are halved first, which removes their
traces. Files that are corrupt, tiny,
animated or of more than 8 bits a channel, and grey ones for training, are named and skipped; one
of --test-photos is an error, since figures of a part of a test set are none of the set.
With --lr, low resolution is not made but read: 0801x4.png, or a file of the same name, is that of
0801.png.
OUT/crops shows a detailed region of every test image, the original and enlarged by bicubic.
The metrics are those of bicubic enlargement.

DIV2K, 800 photographs to train with and 100 to test with, takes 9 GB and a few minutes:
  superres prepare --photos DIV2K_train_HR --test-photos DIV2K_valid_HR --crop 480 --out div2k
"""
TRAIN = """\
A training run that is killed, at any moment, is continued by the same command, from its last
snapshot OUT/training.pt, and ends as if nothing had happened: on the CPU, and with --deterministic
on a GPU, with the same bits. OUT/curves.svg shows how it went. Several GPUs share the batch with
  torchrun --nproc-per-node=4 -m superres.cli COMMAND ...
"""
PRETRAIN = f"""\
Train a D-DBPN from random weights on the mean squared or absolute error, then warm a discriminator
up against it, and store both: the start of any number of fine-tunings.

{TRAIN}
With the photographs of DIV2K and a GPU, as on the poster, 1000 epochs:
  superres pretrain --data div2k --out start --preset paper
"""
FINETUNE = f"""\
Continue a checkpoint on the loss
  w_mse * MSE + w_vgg * perceptual + w_adv * adversarial + w_style * style.
Only the ratios of the four weights matter. More w_adv makes images look more natural (lower
niqe) and less faithful (higher rmse). Without --vgg, the perceptual and the style term use a
frozen network with random weights. The same seed and number of threads give the same result.

{TRAIN}
A trial as on the poster, 250 epochs, and for comparison the full length, 2000 epochs from nothing:
  superres finetune --data div2k --out tuned --preset paper --from start --vgg vgg19.pth
  superres finetune --data div2k --out long  --preset paper --scratch    --vgg vgg19.pth
"""
EVALUATE = """\
Enlarge the test images and judge them. The figures do not depend on the number of threads.
  superres evaluate --checkpoint tuned --data data

Or judge a folder of results, of whatever program, against a folder of originals. Images are
matched by their names without extension (0801x4.png belongs to 0801.png) and must have the same
size; grey images count as colour, transparency is left out.
  superres evaluate --images results --originals originals
This also gives the region of the PIRM challenge: 1, 2 or 3 for an rmse of at most 11.5, 12.5 or
16, else "outside". These bounds are meant for the challenge's images.

Ma's score and pi need the file model.mat of github.com/chaoma99/sr-metric, with its exact content.
"""
UPSCALE = """\
Enlarge images with a checkpoint, to PNG files of the same names; of folders, all images in them
and in their subfolders. Grey images stay grey, transparency is enlarged by bicubic interpolation,
photographs are turned upright. Images with more than 8 bits a channel and animations are refused.
Images larger than memory allows are enlarged in pieces, without seams. Files that cannot be
enlarged are reported and skipped, and the exit code is then 2.
"""

IMPORT = """\
Make a checkpoint of a .pth file that the authors of DBPN released: DBPN, DBPNLL, DBPN-RES-MR64-3
and the entries to the PIRM 2018 challenge. Size and scale are read off the file; what it does not
say is named with --residual and --pirm.
  superres import DBPN_x4.pth --out dbpn
  superres import DBPN-RES-MR64-3_4x.pth --out mr --residual
  superres import PIRM2018_region2.pth --out region2 --pirm
The discriminator of the checkpoint is untrained: a fine-tuning with --w-adv begins with a cold one.
"""

TABLE = """\
Print the table that papers print: enlarge the images of test sets with several networks, and by
bicubic interpolation, and judge the results. A test set is a folder of originals; they are made
smaller here, as MATLAB's imresize makes them, with the sides cut to multiples of the scale. Grey
images count as colour. As in papers, as many pixels are shaved off as the scale says.
  superres table Set5 Set14 BSD100 --checkpoint DBPN=dbpn --checkpoint tuned --self-ensemble
  superres table Set5 Set14 --scale 2 --format latex --out table.tex
"""
EXPORT = """\
Write the network for other programs, as ONNX or TorchScript: RGB images (B, 3, H, W) in [0, 1] in,
of any size, (B, 3, sH, sW) out. ONNX needs the extra dsice[export].
  superres export --checkpoint tuned --format onnx --out tuned.onnx
"""
