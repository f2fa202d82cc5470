"""The words of the prose: nouns whose plural ends in -s, verbs in the past, parts of names."""

from __future__ import annotations

from collections.abc import Mapping


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


_NOUNS = _words(
    """
anchor apron archive attic axle badge ballad banner barge barn barrel basin basket
beacon bell bellow blanket boat bolt bonnet bottle bowl bracket bridge brook bucket
bureau button cabin cable camel canal candle canoe cap caravan carpet cart casket
cauldron cellar chain chair chapel chart cheese chimney chisel circle cloak clock
coat coffin column comet contract convent corridor cottage counter court cradle
crane creek crown cupboard curtain cushion dagger dam debt decree desk dial dock
donkey door dragon drawer drum dyke earring easel echo edict elbow ember engine
envelope errand estate factor falcon farm feather fence festival fiddle field flag
flask fleet flood floor flute forest forge fountain frame freighter funnel furnace
garden garret gate gear geyser ghost glacier globe glove goblet grave grindstone
guild gutter hammer hammock harbour harvest hat hearth hedge helmet herd hill hinge
holiday horizon horn hospital hut icicle inheritor inn insect instrument invoice
island jacket jar jewel journal journey judgement jug junction kennel kettle keyhole
kiln kingdom kite kitten knot ladder lagoon lamp lantern lawsuit lease ledger legend
lemon letter lever licence lighthouse limit lock locomotive log loom machine mansion
map market mask mast meadow medal mill mirror mistake mitten monument moor mosaic
motor mould mountain mule museum nail needle nest notebook number oar oath office
omen orchard order organ oven owl paddle palace panel parade parcel parchment park
passage pasture patent path pavilion peak pebble pendulum petition pier pigeon
pillar pillow pipe pistol pit plan plank plate platform plough pocket poem pond port
portrait post postcard potion prayer prison promise proverb puddle pulley pump
puzzle pyramid quarrel quarter quay quill quilt rabbit raft railing rake ram ravine
razor reason receipt recipe record reef refuge region relic report reservoir reward
ribbon riddle ridge rival river road robe rocket roof room root rope route ruin
rumour saddle sail salmon sample saucer saw scale scandal scarf school screw scroll
seal secret sermon shadow shaft shed shield ship shop shore shovel shutter siege
signal singer sled sleeve snare song spade spear spindle spire spoon spur stable
stair stall statue steamer stone stool storm stove strait stream street string
studio sundial table tailor tavern teapot telegram temple tenant tent theatre
thicket thread throne ticket tide timetable toll tomb tool tower town trail train
trap treasure tree trial tribe trick trumpet tunnel turnip turret twig umbrella urn
valley vault verdict vessel viaduct village vine vineyard violin visitor volume
voyage wagon wall wallet warehouse warning waterfall weapon well whale wheel whistle
widow wig willow window wing winter wolfhound wound wreck yacht yard yarn zone
"""
)

# Kind of word -> the words.
WORDS: Mapping[str, tuple[str, ...]] = {
    "noun": _NOUNS,
    "plural": tuple(f"{noun}s" for noun in _NOUNS),
    "adjective": _words(
        """
abandoned able absent acid ample ancient angry anxious arid awkward bare battered
bent bitter bland blank bleak blind blunt bold brave brief bright brisk brittle
broad broken bronze brown burnt busy calm careful cautious cheap cheerful chilly
civil clean clear clever clumsy coarse cold common complete costly covered cracked
crimson crooked crowded crude cruel curious curved damp dark dear deep delicate
dense distant double doubtful dry dull dusty eager early eastern easy elegant empty
endless enormous even exact faded faint fair famous fat fatal feeble fertile fierce
filthy final fine firm flat flimsy foggy foolish foreign formal fragile frail free
fresh friendly frozen full gentle genuine giant gilded glad gloomy golden graceful
grand grave greasy green grey grim guilty handsome harsh hasty heavy hidden high
hollow honest hot huge humble hungry icy idle ill iron jealous jolly keen kind lame
large last late lawful lazy lean level light likely limp lofty lonely long loose
lost loud lovely low loyal lucky mad marble married massive mean mellow merry mild
modern modest muddy mute narrow near neat new noble noisy northern novel numb oak
obscure odd official old open oval painted pale patient perfect plain pleasant poor
precious private proud public purple quaint quick quiet rare raw ready rear red
remote rich rigid ripe rough round royal rude rural rusty sacred sad safe salt sandy
scarce scarlet second secret severe shabby shallow sharp shiny short shy sick silent
silver simple slender slim slow small smooth sober soft solemn solid sombre sour
southern spare splendid square stale steady steep stern stiff stout straight strange
strict strong stubborn sturdy sudden sullen sunny superb sweet swift tall tame
tender thick thin tidy tight timid tiny tired torn tough tranquil true unpaid
upright urgent useful vacant vague vain vast violet vivid warm wary weak wealthy
weary western wet white whole wicked wide wild windy wise wooden worn yellow young
"""
    ),
    "did": _words(
        """
accepted admired adopted altered announced answered appraised arranged auctioned
avoided awaited banned blamed blessed blocked bought brought buried burned called
carried carved caught cherished chose cleaned climbed closed coaxed collected copied
counted covered crossed cursed damaged decorated defended delayed delivered demanded
denied described deserted destroyed discovered discussed divided drained dreaded
drew dropped dyed earned emptied enclosed engraved envied examined exchanged
explained explored feared fetched filled finished followed forgave forged forgot
found founded framed gathered greased greeted guarded guided handled hated heated
hid hired hoisted hunted ignored imitated improved inherited inspected insulted
insured invented invited kept kicked knew launched left lent lifted loaded locked
lost loved lowered marked measured melted mended mentioned missed mocked mortgaged
moved named needed noticed obeyed observed obtained occupied offered oiled opened
ordered overlooked owned packed painted pardoned passed patched paved persuaded
photographed picked planned planted plundered polished postponed praised preferred
prepared preserved printed promised protected proved pulled punished purchased
pursued pushed questioned raised ransomed reached rebuilt received recognised
refused registered rejected remembered removed renamed repaired repeated replaced
rescued respected restored returned revealed robbed rolled ruined sacrificed saluted
saved scrubbed searched seized sent served settled shared sheltered shipped shook
showed sketched smuggled sold solved sought spared split spoiled stole stopped
stored studied summoned surrendered surveyed suspected swept tasted taught taxed
tested thanked threatened threw tied touched traced traded translated trapped
treasured trusted tuned unlocked unpacked used valued visited wanted warned washed
watched weighed welcomed wrapped
"""
    ),
    "stood": _words(
        """
aged appeared arrived ascended began blazed blossomed boiled burst changed clattered
collapsed cooled cracked creaked crumbled decayed departed dissolved drifted drowned
dwindled ended endured existed expired faded failed fell flickered floated
flourished flowed froze gleamed glowed grew grumbled hesitated hummed hung knelt
lasted lay leaked leaned lingered lodged melted moved murmured paused perished
prospered protested quivered reappeared rejoiced remained resounded rested returned
revolved ripened rose rotted rusted sagged sank screeched shifted shivered shone
shrank shuddered slept slid slipped smelt smoked spread stalled stank steamed
stirred stood strayed stumbled suffered survived swayed swelled swung thawed toppled
trembled turned vanished vibrated waited wandered waned whirled whistled withered
yielded
"""
    ),
    "stuff": _words(
        """
amber ash barley basalt beeswax birch brass bread brick butter canvas cedar chalk
charcoal cider clay coal cocoa coffee copper coral cork cotton courage cream dust
ebony felt flax flint flour fur ginger glass gold grain granite gravel grease hay
hemp honey ink iron ivory jade juniper lace lavender lead leather lime linen luck
malt maple marble mercy milk mint mud music mustard nickel oatmeal oil paper
patience pearl peat pepper pewter pine pitch plaster porcelain powder pride resin
rice rosewood rubber rye saffron salt sand satin shame silence silk silver slate
smoke snow soap soot starch steel straw sugar sulphur tallow tar tea thyme timber
tin tobacco turf varnish velvet vinegar walnut wax wheat wine wool zinc
"""
    ),
    "work": _words(
        """
actor apprentice archer baker barber basket-maker beekeeper binder blacksmith
boatman bookseller brewer builder butcher cabinetmaker captain carpenter carter
cartographer chandler chaplain chemist clerk clockmaker coachman cobbler collier
constable cook cooper courier dentist diver doctor draper driver drover dyer
engineer engraver farmer ferryman fiddler fisherman forester furrier gardener
glazier glover goldsmith governor grocer hatter herbalist hunter innkeeper
ironmonger jeweller joiner judge keeper lawyer librarian locksmith mason mayor
merchant midwife miller miner minister musician nurse organist painter pedlar
pharmacist philosopher pilot plumber poacher poet porter postman potter printer
ranger roofer ropemaker saddler sailor schoolmaster sculptor sergeant sexton
shepherd shipwright shoemaker smuggler soldier stoker stonecutter surgeon surveyor
tanner teacher thatcher tinker trader translator treasurer turner undertaker usher
vicar violinist wainwright watchman weaver wheelwright woodcarver writer
"""
    ),
    "adverb": _words(
        """
abruptly aimlessly anxiously awkwardly badly barely blindly boldly bravely briefly
brightly briskly calmly carefully carelessly cautiously cheaply cheerfully clearly
cleverly clumsily coldly constantly cruelly daily deeply deliberately dimly
doubtfully eagerly early easily evenly exactly faintly faithfully fiercely finally
firmly fondly freely gently gladly gracefully gradually gravely greedily hastily
heavily honestly hourly hungrily idly innocently instantly jealously justly keenly
kindly late lavishly lawfully lazily lightly loosely loudly meekly mildly modestly
narrowly neatly nervously noisily oddly often openly painfully patiently plainly
politely poorly promptly proudly publicly punctually quickly quietly rapidly rarely
readily reluctantly roughly rudely sadly safely secretly seldom seriously severely
sharply shyly silently simply slowly smoothly softly solemnly soundly steadily
sternly strangely strictly stubbornly suddenly swiftly tenderly thinly thoroughly
tightly timidly truthfully twice unexpectedly unwillingly urgently vaguely vainly
violently warmly weakly wearily weekly wildly wisely yearly
"""
    ),
    "by": _words(
        """
above across against along among around before behind below beneath beside beyond by
inside near off opposite outside past round through towards under upon within
"""
    ),
    "season": _words(
        """
spring summer autumn winter
"""
    ),
    "month": _words(
        """
January February March April May June July August September October November
December
"""
    ),
    "spans": _words(
        """
days weeks months years hours nights winters summers
"""
    ),
    "coin": _words(
        """
crowns ducats florins guilders kroner marks pence shillings talers francs
"""
    ),
}

# Beginnings and ends of names.
SYLLABLES_START = _words(
    """
Al An Ar Bal Bar Bel Ber Bor Bran Cal Car Cor Dal Dan Dor Dun El En Er Fal Far Fen
Gal Gor Gran Hal Har Hel Hol Il Is Jar Jor Kal Kel Kor Lan Lar Lin Lor Mal Mar Mel
Mor Nar Nel Nor Ol Or Os Pal Per Por Quin Ral Ran Ros Sal San Sel Sol Tal Tan Tor
Tren Ul Ur Val Ver Vol Wal Wen Wil Yar Yor Zan Zel
"""
)
SYLLABLES_END: Mapping[str, tuple[str, ...]] = {
    "first": _words(
        """
a ak an ard as ea el en er ia ic ida ila ina is ita o old on us wen ya
"""
    ),
    "last": _words(
        """
bach berg bury croft dahl den er feld ford gard gate han hart holm hurst ing kin
land ley low man mark mer mont more off ov quist rick sen shaw son stad ster stone
ton vik wald ward well wick win wood worth
"""
    ),
    "place": _words(
        """
abad bach beck borg bourne bridge bury by cliff dale den fell field ford gate ham
haven heim hill holm hurst ia itz lake land low marsh mere minster mont moor mouth
ness ov pool port reach ridge sea shore stead stoke stow thorpe ton vale vik ville
water well wick wold worth
"""
    ),
}
