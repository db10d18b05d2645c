# ruff: noqa: SIM905 - lists of words are kept as text, so that people can read and extend them
"""Words the generator draws from: names, streets, cities, trades and legal forms of three languages.

Written for steward; no list is copied from a data set of real persons. Order matters: earlier words are drawn more
often, as in life, so that two different people may well share a name. Phone ranges are those that regulators keep for
fiction where such exist (Ofcom, Bundesnetzagentur, the 555 exchange); China keeps none, so numbers there use the
``0000`` block of a prefix.

Left to others: how words become people and firms (``steward.sandbox.people``).
"""

from __future__ import annotations


def _pairs(text: str) -> tuple[tuple[str, str], ...]:
    """Split ``王wang 李li`` into pairs of character and transcription."""
    return tuple((w[:1], w[1:]) if not w.startswith(("欧", "诸", "司", "上")) else (w[:2], w[2:]) for w in text.split())


EN_MALE = tuple(
    """James William Robert Michael David Richard Thomas Charles Christopher Daniel Matthew Anthony Andrew Joseph Edward Steven
    Kenneth George Brian Kevin Timothy Jason Jeffrey Ryan Jacob Nicholas Gregory Samuel Benjamin Patrick Alexander Jack Dennis
    Nathan Peter Zachary Kyle Ethan Jeremy Walter Harold Frederick Oliver Harry Arthur Callum Declan Graham Hugh Ian Jonathan
    Lawrence Leonard Malcolm Nigel Oscar Philip Ralph Stuart Theodore Victor Wesley Aaron Adrian Albert Gareth Dominic Elliot
    Francis Gavin Henry Isaac Joel Keith Lewis Marcus Neil Owen Reuben Simon Trevor Vincent""".split()
)
EN_FEMALE = tuple(
    """Mary Patricia Jennifer Linda Elizabeth Barbara Susan Jessica Sarah Karen Nancy Margaret Betty Sandra Ashley Dorothy
    Kimberly Emily Donna Michelle Carol Amanda Melissa Deborah Stephanie Rebecca Laura Sharon Cynthia Kathleen Amy Shirley Angela
    Helen Anna Brenda Pamela Nicole Samantha Katherine Christine Emma Ruth Catherine Virginia Rachel Carolyn Janet Maria Heather
    Diane Julie Joyce Victoria Kelly Christina Joan Evelyn Olivia Judith Charlotte Imogen Freya Gemma Harriet Isla Josephine
    Louise Matilda Naomi Philippa Rosalind Sophie Tabitha Una Vivian Winifred Zoe Abigail Beatrice Clara Eleanor""".split()
)
EN_LAST = tuple(
    """Smith Johnson Williams Brown Jones Davis Miller Wilson Taylor Anderson Thomas Moore Martin Jackson Thompson White Harris
    Clark Lewis Robinson Walker Young Allen King Wright Scott Hill Green Adams Nelson Baker Hall Campbell Mitchell Carter Roberts
    Evans Turner Parker Collins Edwards Stewart Morris Murphy Cook Rogers Morgan Cooper Peterson Bailey Reed Kelly Howard Cox Ward
    Richardson Watson Brooks Wood James Bennett Gray Hughes Price Myers Long Foster Sanders Ross Powell Sullivan Russell Jenkins
    Perry Butler Barnes Fisher Henderson Coleman Simmons Patterson Jordan Reynolds Graham Kim Patel Singh O'Brien O'Connor
    McDonald MacKenzie Fitzgerald Gallagher Hopkins Ellis Chapman Palmer Webb Hunt Mills Knight Lloyd Pearson Begum Khan Ali
    Nguyen Okafor Mensah Adeyemi Kowalski Novak Rossi Costa Silva Andersen Larsen Virtanen Dubois Lefevre Ivanov Petrov""".split()
) + tuple(
    a + b
    for b in "ford ton wood ley field worth by ham well ridge brook stead".split()
    for a in """Ash Black Brad Har Wit Lang Mar Ock Pem Rad Stan Thorn Wal Wen Whit Win Bar Bel Brom Chat Cran Dun Eld Farn Hal Hem
    Kirk Lin Nor Ors Pres Red Sel Shel Sut Tat Up Ver Wes Yar""".split()
)  # fmt: skip
NICKNAMES = {
    "William": "Bill", "Robert": "Bob", "Michael": "Mike", "Richard": "Dick", "Thomas": "Tom", "Charles": "Chuck",
    "Christopher": "Chris", "Daniel": "Dan", "Matthew": "Matt", "Anthony": "Tony", "Joseph": "Joe", "Edward": "Ted",
    "Steven": "Steve", "James": "Jim", "Timothy": "Tim", "Jeffrey": "Jeff", "Nicholas": "Nick", "Gregory": "Greg",
    "Samuel": "Sam", "Benjamin": "Ben", "Patrick": "Paddy", "Alexander": "Alex", "Kenneth": "Ken", "Lawrence": "Larry",
    "Elizabeth": "Liz", "Jennifer": "Jenny", "Patricia": "Pat", "Barbara": "Babs", "Susan": "Sue", "Margaret": "Peggy",
    "Katherine": "Kate", "Catherine": "Cathy", "Rebecca": "Becky", "Deborah": "Debbie", "Stephanie": "Steph",
    "Samantha": "Sam", "Victoria": "Vicky", "Abigail": "Abby", "Eleanor": "Nell", "Theodore": "Theo", "Frederick": "Fred",
    "Johannes": "Hans", "Katharina": "Kathi", "Maximilian": "Max", "Friedrich": "Fritz", "Wilhelm": "Willi", "Josef": "Sepp",
    "Elisabeth": "Lisa", "Margarete": "Gretel", "Sebastian": "Basti", "Alexandra": "Sandra", "Heinrich": "Heiner",
    "Johanna": "Hanna", "Franziska": "Franzi", "Andreas": "Andi", "Michaela": "Michi", "Matthias": "Matze", "Ulrich": "Uli",
    "Susanne": "Susi", "Christiane": "Christl", "Ludwig": "Lutz", "Eberhard": "Hardy", "Theresa": "Resi", "Barbara ": "Bärbel",
}  # fmt: skip

DE_MALE = tuple(
    """Thomas Michael Andreas Peter Wolfgang Klaus Jürgen Stefan Christian Uwe Werner Frank Markus Matthias Alexander Bernd Martin
    Jörg Ralf Dirk Johannes Sebastian Tobias Günter Jan Florian Daniel Manfred Heinz Holger Felix Lukas Maximilian Jonas Friedrich
    Wilhelm Josef Ludwig Heinrich Ulrich Eberhard Götz Björn Sören Jens Torsten Sven Rainer Norbert Volker Axel Konrad Emil Anton
    Moritz Julian Niklas Fabian Philipp Simon Benedikt Korbinian Leopold Georg Rüdiger Hartmut Detlef Mehmet Murat Emre Cem
    Paul Leon Finn Elias Noah Karl Oskar Theo Jakob David Kilian Valentin Gregor""".split()
)
DE_FEMALE = tuple(
    """Ursula Sabine Monika Petra Susanne Claudia Renate Birgit Andrea Julia Stefanie Karin Anna Martina Nicole Katharina Elisabeth
    Christine Kerstin Heike Gabriele Ingrid Silke Anja Barbara Sandra Tanja Manuela Melanie Angelika Brigitte Katrin Jutta Ulrike
    Margarete Johanna Franziska Michaela Christiane Theresa Alexandra Käthe Bärbel Jördis Hannelore Waltraud Dörte Antje Wiebke
    Maike Svenja Lena Laura Lea Marie Sophie Emilia Mia Hannah Greta Frieda Charlotte Pauline Ida Clara Mathilda Luise Helene
    Annegret Liselotte Gudrun Elke Regina Ayşe Fatma Elif Zeynep Nadine Jasmin Vanessa Carina Verena""".split()
)
DE_LAST = tuple(
    """Müller Schmidt Schneider Fischer Weber Meyer Wagner Becker Schulz Hoffmann Schäfer Koch Bauer Richter Klein Wolf Schröder
    Neumann Schwarz Zimmermann Braun Krüger Hofmann Hartmann Lange Schmitt Werner Schmitz Krause Meier Lehmann Schmid Schulze Maier
    Köhler Herrmann König Walter Mayer Huber Kaiser Fuchs Peters Lang Scholz Möller Weiß Jung Hahn Schubert Vogel Friedrich Keller
    Günther Frank Berger Winkler Roth Beck Lorenz Baumann Franke Albrecht Schuster Simon Ludwig Böhm Winter Kraus Martin Schumacher
    Krämer Vogt Stein Jäger Otto Sommer Groß Seidel Heinrich Brandt Haas Schreiber Graf Schulte Dietrich Ziegler Kuhn Kühn Pohl
    Engel Horn Busch Bergmann Thomas Voigt Sauer Arnold Wolff Pfeiffer Yılmaz Öztürk Kaya Demir Şahin Nowak Kowalczyk Hübner Bößmann
    Grünwald Löffler Röder Bäcker Strauß Preuß Heß Götze Schönfeld""".split()
) + tuple(
    a + b
    for b in "mann meier hofer bach berger müller huber bauer thaler egger".split()
    for a in """Ober Nieder Stein Berg Wald Brunn Eich Buch Linden Hol Kalten Neu Alt Rosen Grün Weiß Schwarz Fels Wies Moos Haid Kirch
    Mühl Brück Teich Birken Ahorn Hasel Fichten Erl""".split()
)  # fmt: skip

ZH_LAST = _pairs(
    """王wang 李li 张zhang 刘liu 陈chen 杨yang 黄huang 赵zhao 吴wu 周zhou 徐xu 孙sun 马ma 朱zhu 胡hu 郭guo 何he 高gao 林lin 罗luo 郑zheng
    梁liang 谢xie 宋song 唐tang 许xu 韩han 冯feng 邓deng 曹cao 彭peng 曾zeng 肖xiao 田tian 董dong 袁yuan 潘pan 于yu 蒋jiang 蔡cai 余yu 杜du
    叶ye 程cheng 苏su 魏wei 吕lü 丁ding 任ren 沈shen 姚yao 卢lu 姜jiang 崔cui 钟zhong 谭tan 陆lu 汪wang 范fan 金jin 石shi 廖liao 贾jia 夏xia
    韦wei 付fu 方fang 白bai 邹zou 孟meng 熊xiong 秦qin 邱qiu 江jiang 尹yin 薛xue 闫yan 段duan 雷lei 侯hou 龙long 史shi 陶tao 黎li 贺he 顾gu
    毛mao 郝hao 龚gong 邵shao 万wan 钱qian 严yan 覃qin 武wu 戴dai 莫mo 孔kong 向xiang 汤tang 常chang 温wen 康kang 施shi 文wen 牛niu 樊fan
    葛ge 邢xing 安an 齐qi 易yi 乔qiao 伍wu 庞pang 颜yan 倪ni 庄zhuang 聂nie 章zhang 鲁lu 岳yue 翟zhai 申shen 欧阳ouyang 耿geng 关guan 兰lan
    焦jiao 俞yu 左zuo 柳liu 甘gan 祝zhu 包bao 宁ning 尚shang 符fu 舒shu 阮ruan 柯ke 纪ji 梅mei 童tong 凌ling 毕bi 单shan 季ji 裴pei 霍huo 涂tu
    成cheng 苗miao 谷gu 盛sheng 曲qu 翁weng 冉ran 骆luo 蓝lan 路lu 游you 辛xin 靳jin 管guan 柴chai 蒙meng 鲍bao 华hua 喻yu 祁qi 蒲pu 房fang
    滕teng 屈qu 饶rao 解xie 牟mou 艾ai 尤you 阳yang 时shi 穆mu 农nong 司马sima 卓zhuo 古gu 吉ji 缪miao 简jian 车che 项xiang 连lian 诸葛zhuge 上官shangguan"""
)
ZH_GIVEN = _pairs(
    """伟wei 芳fang 娜na 秀xiu 英ying 敏min 静jing 丽li 强qiang 磊lei 军jun 洋yang 勇yong 艳yan 杰jie 娟juan 涛tao 明ming 超chao 兰lan 霞xia 平ping
    刚gang 桂gui 文wen 云yun 华hua 建jian 国guo 海hai 晓xiao 红hong 志zhi 梅mei 玉yu 春chun 金jin 永yong 龙long 林lin 宇yu 浩hao 欣xin 怡yi 子zi
    涵han 雨yu 轩xuan 梓zi 诗shi 佳jia 俊jun 博bo 思si 雅ya 嘉jia 婷ting 雪xue 琳lin 倩qian 慧hui 颖ying 莉li 萍ping 燕yan 玲ling 丹dan 鹏peng
    飞fei 波bo 斌bin 辉hui 健jian 凯kai 峰feng 亮liang 成cheng 康kang 星xing 光guang 天tian 达da 安an 岩yan 中zhong 茂mao 进jin 林lin 有you
    坚jian 和he 彪biao 诚cheng 先xian 敬jing 震zhen 振zhen 壮zhuang 会hui 思si 群qun 豪hao 心xin 邦bang 承cheng 乐le 绍shao 功gong 松song 善shan
    厚hou 庆qing 民min 友you 裕yu 河he 哲zhe 江jiang 亮liang 政zheng 谦qian 亨heng 奇qi 固gu 之zhi 轮lun 翰han 朗lang 伯bo 宏hong 言yan 若ruo
    鸣ming 朋peng 梁liang 栋dong 维wei 启qi 克ke 伦lun 翔xiang 旭xu 士shi 以yi 致zhi 树shu 炎yan 德de 行xing 时shi 泰tai 盛sheng 雄xiong 琛chen
    钧jun 冠guan 策ce 腾teng 楠nan 榕rong 风feng 航hang 弘hong 蕊rui 薇wei 菁jing 梦meng 岚lan 苑yuan 婕jie 馨xin 瑗yuan 琰yan 韵yun 融rong 园yuan
    艺yi 咏yong 卿qing 聪cong 澜lan 纯chun 毓yu 悦yue 昭zhao 冰bing 爽shuang 琬wan 茗ming 羽yu 希xi 宁ning 飘piao 育ying 滢ying 馥fu 筠yun 柔rou
    竹zhu 霭ai 凝ning 晨chen 欢huan 霄xiao 枫feng 芸yun 菲fei 寒han 伊yi 亚ya 宜yi 可ke 姬ji 舒shu 影ying 荔li 枝zhi 璐lu 彤tong 璇xuan 煜yu 睿rui"""
)
TRADITIONAL = str.maketrans(
    "张刘陈杨黄赵吴孙马罗郑谢许韩冯邓萧袁潘蒋蔡叶苏吕卢钟谭陆汪贾韦邹闫龙贺顾龚万钱严汤庄聂鲁关兰伟丽强军艳杰涛刚云华国红龙诗俊雪颖萍莹飞辉健凯亮达进会庆坚邦绍鸣维启轮伦树炎时韵艺爱宁欢晓鹏颜单",
    "張劉陳楊黃趙吳孫馬羅鄭謝許韓馮鄧蕭袁潘蔣蔡葉蘇呂盧鍾譚陸汪賈韋鄒閆龍賀顧龔萬錢嚴湯莊聶魯關蘭偉麗強軍豔傑濤剛雲華國紅龍詩俊雪穎萍瑩飛輝健凱亮達進會慶堅邦紹鳴維啟輪倫樹炎時韻藝愛寧歡曉鵬顏單",
)

# city, region, postcode pattern (# a digit, @ a letter), dialling code
CITIES_US = tuple(
    tuple(line.strip().split("|"))
    for line in """New York|NY|100##|212
    Los Angeles|CA|900##|213
    Chicago|IL|606##|312
    Houston|TX|770##|713
    Phoenix|AZ|850##|602
    Philadelphia|PA|191##|215
    San Antonio|TX|782##|210
    San Diego|CA|921##|619
    Dallas|TX|752##|214
    Austin|TX|787##|512
    Jacksonville|FL|322##|904
    Columbus|OH|432##|614
    Charlotte|NC|282##|704
    Indianapolis|IN|462##|317
    Seattle|WA|981##|206
    Denver|CO|802##|303
    Boston|MA|021##|617
    Nashville|TN|372##|615
    Detroit|MI|482##|313
    Portland|OR|972##|503
    Memphis|TN|381##|901
    Louisville|KY|402##|502
    Milwaukee|WI|532##|414
    Albuquerque|NM|871##|505
    Tucson|AZ|857##|520
    Sacramento|CA|958##|916
    Kansas City|MO|641##|816
    Atlanta|GA|303##|404
    Omaha|NE|681##|402
    Minneapolis|MN|554##|612
    Cleveland|OH|441##|216
    Tampa|FL|336##|813
    Pittsburgh|PA|152##|412
    Cincinnati|OH|452##|513
    Buffalo|NY|142##|716
    Boise|ID|837##|208
    Richmond|VA|232##|804
    Spokane|WA|992##|509
    Madison|WI|537##|608
    Salt Lake City|UT|841##|801""".split("\n")
)
CITIES_UK = tuple(
    tuple(line.strip().split("|"))
    for line in """London|Greater London|SW# #@@|020 7946 0###
    London|Greater London|EC# #@@|020 7946 0###
    Birmingham|West Midlands|B## #@@|0121 496 0###
    Manchester|Greater Manchester|M## #@@|0161 496 0###
    Leeds|West Yorkshire|LS# #@@|0113 496 0###
    Sheffield|South Yorkshire|S## #@@|0114 496 0###
    Bristol|Bristol|BS# #@@|0117 496 0###
    Liverpool|Merseyside|L## #@@|0151 496 0###
    Nottingham|Nottinghamshire|NG# #@@|0115 496 0###
    Leicester|Leicestershire|LE# #@@|0116 496 0###
    Edinburgh|Midlothian|EH# #@@|0131 496 0###
    Glasgow|Lanarkshire|G## #@@|0141 496 0###
    Newcastle upon Tyne|Tyne and Wear|NE# #@@|0191 498 0###
    Reading|Berkshire|RG# #@@|0118 496 0###
    Cardiff|South Glamorgan|CF# #@@|029 2018 0###
    Belfast|Antrim|BT# #@@|028 9649 6###
    York|North Yorkshire|YO# #@@|01632 96####
    Norwich|Norfolk|NR# #@@|01632 96####
    Exeter|Devon|EX# #@@|01632 96####
    Oxford|Oxfordshire|OX# #@@|01632 96####
    Cambridge|Cambridgeshire|CB# #@@|01632 96####
    Plymouth|Devon|PL# #@@|01632 96####
    Swansea|West Glamorgan|SA# #@@|01632 96####
    Aberdeen|Aberdeenshire|AB## #@@|01632 96####""".split("\n")
)
CITIES_DE = tuple(
    tuple(line.strip().split("|"))
    for line in """Berlin|Berlin|10###|30
    Berlin|Berlin|12###|30
    Hamburg|Hamburg|20###|40
    München|Bayern|80###|89
    Köln|Nordrhein-Westfalen|50###|221
    Frankfurt am Main|Hessen|60###|69
    Stuttgart|Baden-Württemberg|70###|711
    Düsseldorf|Nordrhein-Westfalen|40###|211
    Leipzig|Sachsen|04###|341
    Dortmund|Nordrhein-Westfalen|44###|231
    Essen|Nordrhein-Westfalen|45###|201
    Bremen|Bremen|28###|421
    Dresden|Sachsen|01###|351
    Hannover|Niedersachsen|30###|511
    Nürnberg|Bayern|90###|911
    Duisburg|Nordrhein-Westfalen|47###|203
    Bochum|Nordrhein-Westfalen|44###|234
    Wuppertal|Nordrhein-Westfalen|42###|202
    Bielefeld|Nordrhein-Westfalen|33###|521
    Bonn|Nordrhein-Westfalen|53###|228
    Münster|Nordrhein-Westfalen|48###|251
    Karlsruhe|Baden-Württemberg|76###|721
    Mannheim|Baden-Württemberg|68###|621
    Augsburg|Bayern|86###|821
    Wiesbaden|Hessen|65###|611
    Mönchengladbach|Nordrhein-Westfalen|41###|2161
    Braunschweig|Niedersachsen|38###|531
    Kiel|Schleswig-Holstein|24###|431
    Chemnitz|Sachsen|09###|371
    Aachen|Nordrhein-Westfalen|52###|241
    Halle (Saale)|Sachsen-Anhalt|06###|345
    Magdeburg|Sachsen-Anhalt|39###|391
    Freiburg im Breisgau|Baden-Württemberg|79###|761
    Lübeck|Schleswig-Holstein|23###|451
    Erfurt|Thüringen|99###|361
    Rostock|Mecklenburg-Vorpommern|18###|381
    Mainz|Rheinland-Pfalz|55###|6131
    Kassel|Hessen|34###|561
    Saarbrücken|Saarland|66###|681
    Osnabrück|Niedersachsen|49###|541
    Regensburg|Bayern|93###|941
    Würzburg|Bayern|97###|931
    Göttingen|Niedersachsen|37###|551
    Ulm|Baden-Württemberg|89###|731
    Konstanz|Baden-Württemberg|78###|7531
    Passau|Bayern|94###|851
    Flensburg|Schleswig-Holstein|24###|461
    Cottbus|Brandenburg|03###|355""".split("\n")
)
# city, its transcription, postcode, dialling code
CITIES_ZH = tuple(
    tuple(line.split("|"))
    for line in """北京|Beijing|1000##|010 上海|Shanghai|2000##|021 广州|Guangzhou|5100##|020 深圳|Shenzhen|5180##|0755 杭州|Hangzhou|3100##|0571
    成都|Chengdu|6100##|028 重庆|Chongqing|4000##|023 武汉|Wuhan|4300##|027 苏州|Suzhou|2150##|0512 西安|Xi'an|7100##|029 南京|Nanjing|2100##|025
    天津|Tianjin|3000##|022 长沙|Changsha|4100##|0731 郑州|Zhengzhou|4500##|0371 东莞|Dongguan|5230##|0769 青岛|Qingdao|2660##|0532
    昆明|Kunming|6500##|0871 宁波|Ningbo|3150##|0574 合肥|Hefei|2300##|0551 佛山|Foshan|5280##|0757 沈阳|Shenyang|1100##|024 无锡|Wuxi|2140##|0510
    济南|Jinan|2500##|0531 厦门|Xiamen|3610##|0592 福州|Fuzhou|3500##|0591 温州|Wenzhou|3250##|0577 哈尔滨|Harbin|1500##|0451 长春|Changchun|1300##|0431
    大连|Dalian|1160##|0411 石家庄|Shijiazhuang|0500##|0311 南宁|Nanning|5300##|0771 泉州|Quanzhou|3620##|0595 金华|Jinhua|3210##|0579
    贵阳|Guiyang|5500##|0851 常州|Changzhou|2130##|0519 南通|Nantong|2260##|0513 嘉兴|Jiaxing|3140##|0573 太原|Taiyuan|0300##|0351
    徐州|Xuzhou|2210##|0516 惠州|Huizhou|5160##|0752 珠海|Zhuhai|5190##|0756 中山|Zhongshan|5284##|0760 台州|Taizhou|3180##|0576 烟台|Yantai|2640##|0535
    兰州|Lanzhou|7300##|0931 绍兴|Shaoxing|3120##|0575 海口|Haikou|5700##|0898 扬州|Yangzhou|2250##|0514 洛阳|Luoyang|4710##|0379 桂林|Guilin|5410##|0773
    呼和浩特|Hohhot|0100##|0471 乌鲁木齐|Urumqi|8300##|0991 银川|Yinchuan|7500##|0951 西宁|Xining|8100##|0971 南昌|Nanchang|3300##|0791""".split()
)

STREETS_EN = tuple(
    """High Station Church Park Victoria Green Manor Queens Kings Mill School Albert Grange York North South Main Oak Maple Cedar
    Elm Washington Lake Hill Walnut Spring Ridge Willow Sunset Railroad Jackson Lincoln Franklin Jefferson Highland Forest Meadow
    River Chestnut Cherry Dogwood Hickory Magnolia Sycamore Prospect Union Pleasant Center Cambridge Windsor Chapel Bridge Orchard
    Abbey Castle Mount Garden Springfield Stanley Clarence Alexandra""".split()
)
STREET_KINDS_EN = ("Street", "Road", "Avenue", "Lane", "Drive", "Close", "Court", "Boulevard")
STREETS_DE = tuple(
    """Haupt Bahnhof Schul Garten Dorf Berg Kirch Wald Ring Linden Birken Wiesen Mühlen Rosen Goethe Schiller Mozart Beethoven Bach
    Luther Friedrich-Ebert- Bismarck Kaiser König Markt Brunnen Burg Kloster Industrie Gewerbe Hafen Rhein Donau Elb Main Neckar
    Eichen Buchen Tannen Ahorn Fichten Kastanien Jahn Kant Hegel Lessing Heine Röntgen Siemens Daimler Robert-Koch- Albert-Einstein-
    Adenauer Stresemann Hinden Feld Acker Blumen Sonnen Talgrund Hoch Nieder""".split()
)
STREET_KINDS_DE = ("straße", "straße", "straße", "weg", "allee", "gasse", "platz", "ring")
ROADS_ZH = tuple(
    """人民路 中山路 解放路 建设路 和平路 新华路 文化路 胜利路 南京路 北京路 长江路 黄河路 光明路 友谊路 青年路 东风路 迎宾路 滨江路 湖滨路 科技路 创业路
    学院路 工业大道 环城路 体育路 朝阳路 幸福路 团结路 民主路 延安路 淮海路 西湖大道 天府大道 珠江路 世纪大道 金融街 软件园路 高新路 锦绣路 桃园路 梅园路
    兴业路 振兴路 康宁路 平安大街 长安街 鼓楼大街 花园路 石桥路 龙泉路""".split()
)

TRADES_EN = tuple(
    """Logistics|Engineering|Foods|Consulting|Software|Plumbing|Interiors|Printing|Packaging|Textiles|Electronics|Pharma|Motors|
    Catering|Partners|Systems|Media|Energy|Timber|Steel|Optics|Robotics|Furniture|Travel|Insurance Brokers|Dental Supplies|Seeds|
    Chemicals|Construction|Instruments""".replace("\n", "")
    .replace("    ", "")
    .split("|")
)
FORMS_EN = ("Ltd", "Inc", "LLC", "PLC", "Corp", "Limited", "LLP", "Inc.")
TRADES_DE = tuple(
    """Maschinenbau Elektrotechnik Logistik Bau Metallbau Feinmechanik Lebensmittel Getränke Druck Verpackungen Textil Möbel Holzbau
    Haustechnik Sanitär Software Beratung Medizintechnik Optik Chemie Kunststoff Stahlhandel Spedition Gartenbau Backwaren Immobilien
    Steuerberatung Werkzeugbau Energietechnik Automation""".split()
)
FORMS_DE = ("GmbH", "GmbH & Co. KG", "AG", "KG", "e.K.", "OHG", "UG (haftungsbeschränkt)", "GmbH")
BRANDS_ZH = "华鑫宏远达盛通泰恒信瑞丰天成博创新源海川金龙嘉禾万利东方中科星辰云腾明德安康百汇众合佳美长青启航正大顺隆国兴联友力英杰诺思凯旋锦程"
TRADES_ZH = tuple(
    """科技 贸易 机械设备 电子 物流 食品 建筑工程 信息技术 医疗器械 服装 化工 新能源 文化传媒 房地产 装饰设计 汽车配件 包装印刷 教育咨询 进出口 生物医药
    五金制品 环保 网络技术 餐饮管理 智能制造 家具 光电 纺织 农业发展 国际旅行社""".split()
)
FORMS_ZH = ("有限公司", "有限公司", "有限公司", "股份有限公司", "有限责任公司", "集团有限公司")

JOBS = {
    "en": (
        "Managing Director",
        "Sales Manager",
        "Buyer",
        "Head of Procurement",
        "Office Manager",
        "Engineer",
        "Accountant",
        "Owner",
    ),
    "de": (
        "Geschäftsführer",
        "Vertriebsleiterin",
        "Einkauf",
        "Leiter Einkauf",
        "Sekretariat",
        "Ingenieurin",
        "Buchhaltung",
        "Inhaber",
    ),
    "zh": ("总经理", "销售经理", "采购员", "采购主管", "行政", "工程师", "会计", "董事长"),
}
DEAL_WORDS = {
    "en": ("Annual service contract", "Machine upgrade", "Framework order", "Pilot project", "Spare parts", "Licence renewal"),
    "de": ("Wartungsvertrag", "Anlagenerweiterung", "Rahmenauftrag", "Pilotprojekt", "Ersatzteile", "Lizenzverlängerung"),
    "zh": ("年度服务合同", "设备升级", "框架协议", "试点项目", "备件采购", "许可续期"),
}
TICKET_WORDS = {
    "en": ("Delivery incomplete", "Invoice question", "Device does not start", "Password reset", "Complaint about packaging"),
    "de": (
        "Lieferung unvollständig",
        "Frage zur Rechnung",
        "Gerät startet nicht",
        "Passwort zurücksetzen",
        "Reklamation Verpackung",
    ),
    "zh": ("到货数量不足", "发票问题", "设备无法启动", "重置密码", "包装投诉"),
}
ACTIVITY_WORDS = {
    "en": ("Asked for a quote", "Follow-up call", "Trade fair visit", "Sent brochure", "Contract talk", "Delivery date"),
    "de": ("Angebot angefragt", "Nachfassgespräch", "Messebesuch", "Prospekt versandt", "Vertragsgespräch", "Liefertermin"),
    "zh": ("询价", "回访电话", "展会会面", "寄送资料", "合同洽谈", "交货日期"),
}
NOTE_WORDS = {
    "en": (
        "Prefers to be called in the morning.",
        "Met at the fair, interested in the large model.",
        "Asked not to receive brochures.",
    ),
    "de": ("Bitte nur vormittags anrufen.", "Auf der Messe getroffen, Interesse am großen Modell.", "Wünscht keine Prospekte."),
    "zh": ("请上午联系。", "展会认识，对大型号感兴趣。", "不需要寄送资料。"),
}
