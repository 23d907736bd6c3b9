"""What to try when a run has collapsed, by the sign that was seen."""

CLASSIFIER_WON = (
    "The classifier now tells generated images from real ones without effort, so the unlabeled images teach it nothing "
    "more; such runs do not recover. What helped against it, in this order: method.generator_optimizer.betas=[0.0,0.9] (a "
    "longer memory of the second moment lets a gradient spike through: benchmarks/stability), "
    "method.generator_optimizer.lr a third of its value, method.start_from_mean=true, net.generator.output=softplus. Another "
    "seed may succeed by luck; a mean should include the collapsed runs."
)
FEW_IMAGES = (
    "The classifier then only learns to recognize those few. For more variety: method.terms.pull_away.weight=0.8, "
    "or more; minibatch discrimination (net.classifier.minibatch_kernels=100, sec. 3.2). To train on all the same: "
    "collapse_watch.distinct_below=0."
)
ONE_CLASS = (
    "Pseudo-labels reinforce themselves: a class that is slightly ahead takes all. What keeps classes "
    "apart: method.terms.class_balance.weight=1, method.terms.pseudo_label.align=true (where the method has that term), "
    "method.ramp_up_epochs a third of the run, a third of the learning rate, more labels. If nearly all unlabeled images are of "
    "that class in truth: collapse_watch.one_class_above=1."
)
DIVERGED = "Such runs do not recover. Try a third of the learning rate ({keys}), or method.precision=32-true."
